"""What may happen to messages beside their usual life, each as likely as the configuration says.

It is drawn apart from the messages themselves, so that a world with and one without it have the
same messages, and one kind of event does not change another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from simulator.config import DAY, WorldConfig
from simulator.message import Message

# Twilio deletes, and redacts, what has come to its end only.
_REDACTED_WITHIN = 30 * DAY
_DELETED_WITHIN = 30 * DAY
_NOT_OVER = ("accepted", "scheduled", "queued", "sending", "receiving")
_LAGGING = 0.3  # of the messages, where lists lag at all
_NEW_STATUS = "dispatched"
_NEW_CHANNEL = "telegram"
_NEW_FIELD = ("risk_score", "low")
_NEW_CODE = 63999


def add_later_events(config: WorldConfig, messages: Sequence[Message]) -> None:
    """Change messages in place as the configuration says."""
    events: list[tuple[str, float, Callable[[Message, Random], None]]] = [
        ("slow price", config.slow_prices, _price_slowly),
        ("redaction", config.redactions, _redact),
        ("deletion", config.deletions, _delete),
        ("lag", _LAGGING if config.lag_minutes else 0.0, _lag(config.lag_minutes)),
        ("novelty", config.novelties, _make_new(config.novelties_from)),
    ]
    for name, probability, happen in events:
        if not probability:
            continue
        random = Random(f"{config.seed}/{name}")
        for message in messages:
            if random.random() < probability:
                happen(message, random)


def _price_slowly(message: Message, random: Random) -> None:
    """A price that comes in the second to the seventh day after sending.

    Not of undelivered messages: without a price for a day they count as free for good.
    """
    if message.priced is not None and message.sent is not None:
        if message.steps[-1][1] == "undelivered":
            return
        message.priced = message.sent + DAY + int(random.random() * (6 * DAY - 60))


def _redact(message: Message, random: Random) -> None:
    if message.body and message.steps[-1][1] not in _NOT_OVER:
        message.redacted = _end_of(message) + _soon_or_late(random, 60, _REDACTED_WITHIN)


def _delete(message: Message, random: Random) -> None:
    if message.steps[-1][1] not in _NOT_OVER:
        message.deleted = _end_of(message) + _soon_or_late(random, 3600, _DELETED_WITHIN)


def _soon_or_late(random: Random, least: int, most: int) -> int:
    """Seconds: half of the time within two days."""
    longest = 2 * DAY if random.random() < 0.5 else most
    return least + int(random.random() * (longest - least))


def _end_of(message: Message) -> int:
    return message.steps[-1][0]


def _lag(most_minutes: float) -> Callable[[Message, Random], None]:
    def lag(message: Message, random: Random) -> None:
        message.listed = message.created + 1 + int(random.random() * most_minutes * 60)

    return lag


def _make_new(start: int) -> Callable[[Message, Random], None]:
    """Values that nobody has seen before `start`."""

    def make_new(message: Message, random: Random) -> None:
        kind = random.randrange(4)
        if message.created < start:
            return
        last, status = message.steps[-1]
        if kind == 0 and status == "delivered":
            message.steps = (*message.steps[:-1], (last, _NEW_STATUS))
        elif kind == 1 and message.channel == "whatsapp":
            message.channel = _NEW_CHANNEL
            message.sender = _on_new_channel(message.sender)
            message.recipient = _on_new_channel(message.recipient)
        elif kind == 2 and message.error_code is not None:
            message.error_code = _NEW_CODE
        else:
            message.extra = _NEW_FIELD

    return make_new


def _on_new_channel(address: str | None) -> str | None:
    return None if address is None else f"{_NEW_CHANNEL}:{address.rpartition(':')[2]}"
