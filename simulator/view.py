"""The world as Twilio lists it at one instant: rendered once, found by bisection."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from simulator import usage, wire
from simulator.world import Message, World

HOUR = 3_600


class Listing:
    """One account's rendered messages, newest first.

    Their time is date_sent where there is one, else date_created; of one second, the greater
    SID comes first.
    """

    def __init__(self, entries: Sequence[tuple[int, str, bytes]]) -> None:
        self._times = array("q", [-time for time, _, _ in entries])  # ascending, for bisection
        self.sids = [sid for _, sid, _ in entries]
        self.contents = [content for _, _, content in entries]

    def entries(self) -> Iterator[tuple[int, str, bytes]]:
        """Time, SID and record of each message, as they were given."""
        return zip((-time for time in self._times), self.sids, self.contents, strict=True)

    def between(self, first: int, last: int) -> range:
        """The positions of records from `first` to `last`, both inclusive, epoch seconds."""
        return range(bisect_left(self._times, -last), bisect_right(self._times, -first))

    def position(self, time: int, sid: str) -> int:
        """Where a record stands, or would stand."""
        start, stop = bisect_left(self._times, -time), bisect_right(self._times, -time)
        while start < stop and self.sids[start] > sid:
            start += 1
        return start


class _Index:
    """What all views of a world share: its messages by SID, and by the hours they change in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.by_sid: dict[str, Message] = {message.sid: message for message in world.messages}

    @cached_property
    def _by_hour(self) -> dict[int, list[int]]:
        """Numbers of the messages that look different after some instant of an hour.

        Made when the clock first moves: a world that is only read needs none.
        """
        by_hour: dict[int, list[int]] = defaultdict(list)
        for number, message in enumerate(self._world.messages):
            for hour in {instant // HOUR for instant in message.turns()}:
                by_hour[hour].append(number)
        return by_hour

    def changed_between(self, one: int, other: int) -> set[int]:
        """Numbers of all messages that look different at the two instants, and some more."""
        first, last = sorted((one, other))
        hours = range(first // HOUR, last // HOUR + 1)
        return {number for hour in hours for number in self._by_hour.get(hour, ())}


class View:
    """The world at `now`, epoch seconds. Another view takes over what looks the same in it."""

    def __init__(self, world: World, now: int, other: View | None = None) -> None:
        self.world = world
        self.now = now
        self._numbers = {account.sid: i for i, account in enumerate(world.accounts)}
        self._index: _Index = other._index if other else _Index(world)
        messages = world.messages
        changed: Iterable[int] = range(len(messages))
        entries: list[list[tuple[int, str, bytes]]] = [[] for _ in world.accounts]
        unsent: set[str] = set()
        if other:
            changed = self._index.changed_between(other.now, now)
            changed_sids = {messages[number].sid for number in changed}
            for rows, listing in zip(entries, other._all, strict=True):
                rows.extend(entry for entry in listing.entries() if entry[1] not in changed_sids)
            unsent = other._unsent - changed_sids
        for number in changed:
            message = messages[number]
            if not message.is_listed(now):
                continue
            content = wire.render(wire.message_record(world, message, now))
            entries[message.account].append((self.time_of(message), message.sid, content))
            if message.sent is None or message.sent > now:
                unsent.add(message.sid)
        for rows in entries:
            rows.sort(reverse=True)
        self._unsent: set[str] = unsent
        self._all: list[Listing] = [Listing(rows) for rows in entries]
        self._sent = [Listing([row for row in rows if row[1] not in unsent]) for rows in entries]
        self.usage = usage.daily_usage(world, now)
        self._usage_records: dict[tuple[object, ...], list[bytes]] = {}

    def time_of(self, message: Message) -> int:
        """Where a message stands in a list."""
        if message.sent is not None and message.sent <= self.now:
            return message.sent
        return message.created

    def messages(self, account_sid: str, *, only_sent: bool) -> Listing:
        """One account's messages: all, or those with date_sent."""
        listings = self._sent if only_sent else self._all
        return listings[self._numbers[account_sid]]

    def find(self, account_sid: str, sid: str) -> Message | None:
        """A message of an account, listed already or not; None when it has no such message."""
        message = self._index.by_sid.get(sid)
        if message is None or not message.exists(self.now):
            return None
        return message if self._numbers[account_sid] == message.account else None

    def usage_records(
        self, account_sid: str, *, with_subaccounts: bool, spans: usage.Spans, resource: str,
        category: str | None,
    ) -> list[bytes]:  # fmt: skip
        """Rendered usage of an account: for each span of days a record a category."""
        key = account_sid, with_subaccounts, tuple(spans), resource, category
        if key not in self._usage_records:
            accounts = range(len(self.world.accounts))
            own = self._numbers[account_sid]
            owners = accounts if with_subaccounts and own == 0 else [own]
            self._usage_records[key] = [
                wire.render(usage.record(account_sid, name, first, last, entry, self.now, resource))
                for first, last in spans
                for name, entry in usage.totals(self.usage, owners, first, last).items()
                if category in (None, name)
            ]
        return self._usage_records[key]
