"""The world as Twilio lists it at one instant: rendered once, found by bisection."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from simulator import usage, wire
from simulator.world import Message, World


class Listing:
    """One account's rendered messages, newest first.

    Their time is date_sent where there is one, else date_created; of one second, the greater
    SID comes first.
    """

    def __init__(self, entries: Sequence[tuple[int, str, bytes]]) -> None:
        self._times = array("q", (-time for time, _, _ in entries))  # ascending, for bisection
        self.sids = [sid for _, sid, _ in entries]
        self.contents = [content for _, _, content in entries]

    def between(self, first: int, last: int) -> range:
        """The positions of records from `first` to `last`, both inclusive, epoch seconds."""
        return range(bisect_left(self._times, -last), bisect_right(self._times, -first))

    def position(self, time: int, sid: str) -> int:
        """Where a record stands, or would stand."""
        start, stop = bisect_left(self._times, -time), bisect_right(self._times, -time)
        while start < stop and self.sids[start] > sid:
            start += 1
        return start


class View:
    """The world at `now`, epoch seconds. A later view takes over what looks the same in it."""

    def __init__(self, world: World, now: int, earlier: View | None = None) -> None:
        self.world = world
        self.now = now
        self._numbers = {account.sid: i for i, account in enumerate(world.accounts)}
        self._messages: dict[str, Message] = (
            earlier._messages if earlier else {message.sid: message for message in world.messages}
        )
        self._contents = self._rendered(earlier)
        entries: list[list[tuple[int, str, bytes]]] = [[] for _ in world.accounts]
        unsent: set[str] = set()
        for message, content in zip(world.messages, self._contents, strict=False):
            entries[message.account].append((self.time_of(message), message.sid, content))
            if message.sent is None or message.sent > now:
                unsent.add(message.sid)
        for rows in entries:
            rows.sort(reverse=True)
        self._all = [Listing(rows) for rows in entries]
        self._sent = [Listing([row for row in rows if row[1] not in unsent]) for rows in entries]
        self.usage = usage.daily_usage(world, now)
        self._usage_records: dict[tuple[object, ...], list[bytes]] = {}

    def _rendered(self, earlier: View | None) -> list[bytes]:
        """Every message created until now, in the world's order."""
        contents: list[bytes] = []
        known = earlier._contents if earlier else []
        first, last = sorted((earlier.now if earlier else self.now, self.now))
        for number, message in enumerate(self.world.messages):
            if message.created > self.now:
                break
            if number < len(known) and not message.changes_between(first, last):
                contents.append(known[number])
            else:
                record = wire.message_record(self.world, message, self.now)
                contents.append(wire.render(record))
        return contents

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
        """A message of an account; None when it has no such message yet."""
        message = self._messages.get(sid)
        if message is None or message.created > self.now:
            return None
        return message if self._numbers[account_sid] == message.account else None

    def message(self, account_sid: str, sid: str) -> bytes | None:
        """One message's record; None when this account has no such message yet."""
        message = self.find(account_sid, sid)
        if message is None:
            return None
        listing = self._all[message.account]
        return listing.contents[listing.position(self.time_of(message), sid)]

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
