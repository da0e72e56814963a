"""Messages as they were last seen, and what follows from each alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from simulator import people
from simulator.observed import Known
from simulator.truth.values import instant_of, money
from simulator.world import Message, MessageState, World

_NEVER_TRIED = ("accepted", "scheduled", "canceled")
_ARRIVED = ("delivered", "read")
_FAILED = ("failed", "undelivered")
_FINAL = (*_ARRIVED, *_FAILED, "canceled", "received")


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as it is shown, with what follows from it."""

    message: Message
    state: MessageState
    account_sid: str
    at: datetime  # UTC
    local: datetime
    direction: str
    channel: str
    address: str | None
    is_tried: bool
    is_settled: bool
    asks_to_stop: bool
    was_scheduled: bool

    @property
    def has_arrived(self) -> bool:
        """Whether an outbound message arrived."""
        return self.is_tried and self.state.status in _ARRIVED

    @property
    def has_failed(self) -> bool:
        """Whether an outbound message failed."""
        return self.is_tried and self.state.status in _FAILED

    @property
    def error_code(self) -> int | None:
        """What an outbound message failed of, or was warned of: 0 when nobody says."""
        if not self.is_tried:
            return None
        if self.state.error_code is None and self.has_failed:
            return 0
        return self.state.error_code


def seen(world: World, known: Known, zone: ZoneInfo) -> Seen:
    """A known message as reports of a time zone count it."""
    message, state = known.message, known.state
    at = instant_of(message.created if state.sent is None else state.sent)
    other = message.sender if message.direction == "inbound" else message.recipient
    prefix, colon, rest = (other or "").partition(":")
    if colon:
        channel, address = prefix.lower(), rest
    else:
        is_mms = message.media_count > 0 or message.sid.startswith("MM")
        channel, address = "mms" if is_mms else "sms", other or ""
    way = message.direction
    direction = way if way == "inbound" else "unknown"
    if way.startswith("outbound"):
        direction = "outbound"
    return Seen(
        message=message,
        state=state,
        account_sid=world.accounts[message.account].sid,
        at=at,
        local=at.astimezone(zone),
        direction=direction,
        channel=channel,
        address=address or None,
        is_tried=direction == "outbound" and state.status not in _NEVER_TRIED,
        is_settled=_is_settled(state, instant_of(known.read_at) - at),
        asks_to_stop=asks_to_stop(known),
        was_scheduled=known.was_scheduled,
    )


def asks_to_stop(known: Known) -> bool:
    """Whether an inbound message wants no more of them; also when its text is gone meanwhile."""
    return known.message.direction == "inbound" and any(
        body.upper() in people.OPT_OUT_WORDS for body in known.bodies
    )


def price_of(group: Iterable[Seen]) -> Decimal | None:
    """What messages cost by their prices; None when none of them has one."""
    prices = [entry.state.price for entry in group if entry.state.price is not None]
    return -money(sum(prices)) if prices else None


def currency_of(group: Iterable[Seen]) -> str | None:
    """The currency of messages that say theirs."""
    return max((e.state.currency for e in group if e.state.currency), default=None)


def _is_settled(state: MessageState, age: timedelta) -> bool:
    if age >= timedelta(days=7) and state.status != "scheduled":
        return True
    is_done = state.status in _FINAL or (state.status == "sent" and age >= timedelta(hours=72))
    is_costed = state.price is not None or (
        state.status in (*_FAILED, "canceled") and age >= timedelta(hours=24)
    )
    return is_done and is_costed
