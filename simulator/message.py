"""One message's whole life, and what Twilio shows of it at an instant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Message:
    """One message's whole life; instants are epoch seconds, money millionths (negative: charge).

    `steps` are (instant, status), ascending. `sent` is when date_sent appears, None: never.
    `charge` is what the message costs (0: nothing), shown as its price from `priced` on.
    `listed` is when lists begin to show it (None: at once), `redacted` when its body becomes
    empty, `deleted` when it vanishes; None: never. `extra` is a field nobody knows.
    """

    sid: str
    account: int
    direction: str
    channel: str
    sender: str | None
    recipient: str | None
    country: str | None
    service_sid: str | None
    body: str
    media_count: int
    segment_count: int
    created: int
    sent: int | None
    steps: tuple[tuple[int, str], ...]
    error_code: int | None
    charge: int
    priced: int | None
    has_currency: bool
    tags: bool
    extra: tuple[str, str] | None = None
    listed: int | None = None
    redacted: int | None = None
    deleted: int | None = None

    def turns(self) -> Iterator[int]:
        """The instants from which on Twilio shows it otherwise than before."""
        yield self.created
        for instant, _ in self.steps:
            yield instant
        later = (self.sent, self.priced, self.listed, self.redacted, self.deleted)
        yield from (instant for instant in later if instant is not None)

    def exists(self, now: int) -> bool:
        """Whether it can be asked for by its SID."""
        return self.created <= now and (self.deleted is None or now < self.deleted)

    def is_listed(self, now: int) -> bool:
        """Whether lists show it."""
        return self.exists(now) and (self.listed is None or self.listed <= now)

    def state_at(self, now: int) -> MessageState:
        """What Twilio shows of the message at an instant."""
        status, updated = self.steps[0][1], self.created
        for instant, step in self.steps:
            if instant > now:
                break
            status, updated = step, instant
        sent = self.sent if self.sent is not None and self.sent <= now else None
        is_priced = self.priced is not None and self.priced <= now
        if is_priced and self.priced is not None:
            updated = max(updated, self.priced)
        has_sender = self.service_sid is None or status not in ("accepted", "scheduled", "canceled")
        is_over = status == self.steps[-1][1]
        return MessageState(
            status=status,
            error_code=self.error_code if is_over else None,
            sender=self.sender if has_sender else None,
            sent=sent,
            updated=updated,
            price=self.charge if is_priced else None,
            currency="USD" if is_priced or self.has_currency else None,
            segment_count=self.segment_count if has_sender else 0,
            body="" if self.redacted is not None and self.redacted <= now else self.body,
        )


@dataclass(slots=True)
class MessageState:
    """What changes about a message."""

    status: str
    error_code: int | None
    sender: str | None
    sent: int | None
    updated: int
    price: int | None
    currency: str | None
    segment_count: int
    body: str
