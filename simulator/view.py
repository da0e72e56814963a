"""The world as Twilio lists it at one instant: rendered once, found by bisection."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cached_property

from simulator import usage, wire
from simulator.world import Message, World


class AccountView:
    """One account's messages, newest first: all of them, and those with date_sent.

    The list is ordered by date_sent where there is one, else by date_created.
    """

    def __init__(self, entries: list[tuple[int, str, bytes, bool]]) -> None:
        entries.sort(reverse=True)
        self.all = Listing([(key, sid, content) for key, sid, content, _ in entries])
        self.sent = Listing([(key, sid, content) for key, sid, content, sent in entries if sent])


class Listing:
    """Rendered records with their keys, newest first."""

    def __init__(self, entries: list[tuple[int, str, bytes]]) -> None:
        self._keys = [-key for key, _, _ in entries]  # ascending, for bisection
        self.contents = [content for _, _, content in entries]
        self.sids = [sid for _, sid, _ in entries]

    def between(self, first: int | None, last: int | None) -> tuple[int, int]:
        """The positions of records from `first` to `last`, both inclusive, epoch seconds."""
        start = 0 if last is None else bisect_left(self._keys, -last)
        stop = len(self._keys) if first is None else bisect_right(self._keys, -first)
        return start, max(start, stop)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {sid: position for position, sid in enumerate(self.sids)}

    def after(self, sid: str) -> int | None:
        """The position behind a record; None when there is no such record."""
        position = self._positions.get(sid)
        return None if position is None else position + 1


class View:
    """The world at `now`. A later view takes over what can no longer change."""

    def __init__(self, world: World, now: int, earlier: View | None = None) -> None:
        self.world = world
        self.now = now
        kept = earlier.final if earlier is not None and earlier.now <= now else {}
        self.final: dict[str, tuple[int, bytes, bool]] = {}
        entries: list[list[tuple[int, str, bytes, bool]]] = [[] for _ in world.accounts]
        for message in world.messages:
            if message.created > now:
                break  # messages are in the order of their creation
            known = kept.get(message.sid)
            if known is None:
                known = self._render(message)
            if _is_over(message, now):
                self.final[message.sid] = known
            key, content, is_sent = known
            entries[message.account].append((key, message.sid, content, is_sent))
        self._accounts = [AccountView(rows) for rows in entries]
        self._numbers = {account.sid: i for i, account in enumerate(world.accounts)}
        self._messages = {message.sid: message for message in world.messages}

    def account(self, account_sid: str) -> AccountView:
        """One account's messages."""
        return self._accounts[self._numbers[account_sid]]

    def message(self, account_sid: str, sid: str) -> bytes | None:
        """One message's record; None when this account has no such message yet."""
        message = self._messages.get(sid)
        if message is None or message.created > self.now:
            return None
        if self.world.accounts[message.account].sid != account_sid:
            return None
        return wire.render(wire.message_record(self.world, message, self.now))

    @cached_property
    def usage(self) -> usage.Ledger:
        """Usage of every account and day."""
        return usage.daily_usage(self.world, self.now)

    def _render(self, message: Message) -> tuple[int, bytes, bool]:
        record = wire.message_record(self.world, message, self.now)
        is_sent = message.sent is not None and message.sent <= self.now
        key = message.sent if is_sent and message.sent is not None else message.created
        return key, wire.render(record), is_sent


def _is_over(message: Message, now: int) -> bool:
    return message.steps[-1][0] <= now and (message.priced is None or message.priced <= now)
