"""Incidents planted into a world before it is shown: what an owner must be told of.

They change messages that the world has anyway, so that all the rest of it stays as it was:

    world = World(config)
    plant(world, [CarrierOutage(account=0, begin=begin, end=begin + timedelta(hours=6))])
    Simulator(world)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from simulator.message import Message
from simulator.world import World

_FILTERED = 30007
_UNKNOWN_ERROR = 30008
_TEXTS = ("sms", "mms")


@dataclass(frozen=True)
class CarrierOutage:
    """Nine of ten text messages of an account sent in [begin, end) do not arrive, error 30008."""

    account: int
    begin: datetime
    end: datetime

    def happen(self, messages: Sequence[Message]) -> list[Message]:
        """The messages after it."""
        for number, message in enumerate(_within(self, messages)):
            if message.channel in _TEXTS and number % 10:
                _end_as_undelivered(message, _UNKNOWN_ERROR)
        return list(messages)


@dataclass(frozen=True)
class BlockedCampaign:
    """Carriers filter half of the text messages of an account sent in [begin, end), error 30007."""

    account: int
    begin: datetime
    end: datetime

    def happen(self, messages: Sequence[Message]) -> list[Message]:
        """The messages after it."""
        for number, message in enumerate(_within(self, messages)):
            if message.channel in _TEXTS and number % 2:
                _end_as_undelivered(message, _FILTERED)
        return list(messages)


@dataclass(frozen=True)
class SpendSpike:
    """Messages of an account sent in [begin, end) have ten times their segments, and their cost."""

    account: int
    begin: datetime
    end: datetime

    def happen(self, messages: Sequence[Message]) -> list[Message]:
        """The messages after it."""
        for message in _within(self, messages):
            message.segment_count *= 10
            message.charge *= 10
        return list(messages)


@dataclass(frozen=True)
class SilentDay:
    """An account sends and receives nothing in [begin, end)."""

    account: int
    begin: datetime
    end: datetime

    def happen(self, messages: Sequence[Message]) -> list[Message]:
        """The messages after it."""
        first, last = self.begin.timestamp(), self.end.timestamp()
        return [
            message
            for message in messages
            if message.account != self.account
            or not any(
                first <= moment < last
                for moment in (message.created, message.sent)
                if moment is not None
            )
        ]


Incident = CarrierOutage | BlockedCampaign | SpendSpike | SilentDay


def plant(world: World, incidents: Iterable[Incident]) -> None:
    """Let these things happen in a world that nobody has looked at yet."""
    for incident in incidents:
        world.messages = incident.happen(world.messages)


def _within(
    incident: CarrierOutage | BlockedCampaign | SpendSpike, messages: Sequence[Message]
) -> list[Message]:
    """What the incident's account sent in its time, if it came so far."""
    first, last = incident.begin.timestamp(), incident.end.timestamp()
    return [
        message
        for message in messages
        if message.account == incident.account
        and message.direction.startswith("outbound")
        and message.sent is not None
        and first <= message.sent < last
        and message.steps[-1][1] in ("sent", "delivered", "read")
    ]


def _end_as_undelivered(message: Message, error_code: int) -> None:
    """It is sent, and some seconds later known not to have arrived."""
    until_sent = [step for step in message.steps if step[1] not in ("delivered", "read")]
    arrives = until_sent[-1][0] + 5 + int(message.sid[2:4], 16) // 4
    message.steps = (*until_sent, (arrives, "undelivered"))
    message.error_code = error_code
