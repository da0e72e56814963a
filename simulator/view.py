"""The world as Twilio lists it at one instant: rendered once, found by bisection."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import IO

import numpy as np
import numpy.typing as npt

from simulator import usage, wire
from simulator.world import Message, World

HOUR = 3_600
_RANK_BITS = 24  # room for 16 million messages
_RANK = (1 << _RANK_BITS) - 1
Keys = npt.NDArray[np.int64]


class _Index:
    """What all views of a world share.

    A message's rank is its place among all SIDs in their order. Its key in a list, ascending, is
    its time and its rank in one number, negative, so that the newest and, of one second, the
    greatest SID come first.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.bills = usage.Bills(world)
        self.number_of = {message.sid: number for number, message in enumerate(world.messages)}
        self.by_rank = np.array([self.number_of[sid] for sid in sorted(self.number_of)], np.int64)
        ranks = np.empty_like(self.by_rank)
        ranks[self.by_rank] = np.arange(len(ranks))
        self.ranks: list[int] = ranks.tolist()

    def key(self, number: int, time: int) -> int:
        """Where a message stands in a list."""
        return -(time << _RANK_BITS | self.ranks[number])

    def numbers(self, keys: Keys) -> Keys:
        """Which messages stand there."""
        return self.by_rank[-keys & _RANK]

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

    def changed_between(self, one: int, other: int) -> list[int]:
        """Numbers of all messages that look different at the two instants, and some more."""
        first, last = sorted((one, other))
        hours = range(first // HOUR, last // HOUR + 1)
        return list({number for hour in hours for number in self._by_hour.get(hour, ())})


class _Contents:
    """The messages as they are rendered, by their numbers, in a file that nobody else sees: in
    memory they would be half of a world. What another view has rendered is taken over."""

    def __init__(self, count: int, other: _Contents | None) -> None:
        # Ends with the last view that reads it.
        self._file: IO[bytes] = other._file if other else tempfile.TemporaryFile()  # noqa: SIM115
        self._starts: Keys = other._starts.copy() if other else np.zeros(count, np.int64)
        self._ends: Keys = other._ends.copy() if other else np.zeros(count, np.int64)
        # Behind all that any view has put there: several may begin from the same one.
        self._size = self._file.seek(0, os.SEEK_END)
        self._map: mmap.mmap | bytes = b""

    def put(self, number: int, content: bytes) -> None:
        """Keep how a message looks now; until `close` is called."""
        self._file.write(content)
        self._starts[number] = self._size
        self._size += len(content)
        self._ends[number] = self._size

    def close(self) -> None:
        """Let it be read from now on."""
        self._file.flush()
        if self._size:
            self._map = mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_READ)

    def of(self, numbers: Keys) -> list[bytes]:
        """How some messages look."""
        starts, ends = self._starts[numbers].tolist(), self._ends[numbers].tolist()
        return [self._map[start:end] for start, end in zip(starts, ends, strict=True)]


class Listing:
    """One account's messages, newest first.

    Their time is date_sent where there is one, else date_created; of one second, the greater
    SID comes first.
    """

    def __init__(self, keys: Keys, index: _Index, world: World, contents: _Contents) -> None:
        self._keys, self._index, self._world, self._contents = keys, index, world, contents

    def __len__(self) -> int:
        return len(self._keys)

    def between(self, first: int, last: int) -> range:
        """The positions of records from `first` to `last`, both inclusive, epoch seconds."""
        start = self._keys.searchsorted(-(last << _RANK_BITS | _RANK))
        return range(int(start), int(self._keys.searchsorted(-(first << _RANK_BITS), "right")))

    def position(self, time: int, sid: str) -> int:
        """Where a record stands, or would stand."""
        return int(self._keys.searchsorted(self._index.key(self._index.number_of[sid], time)))

    def sid(self, position: int) -> str:
        """The SID of the message there."""
        (number,) = self._index.numbers(self._keys[position : position + 1]).tolist()
        return self._world.messages[number].sid

    def records(self, positions: Sequence[int]) -> list[bytes]:
        """The rendered messages there."""
        if isinstance(positions, range):
            keys = self._keys[positions.start : positions.stop]
        else:
            keys = self._keys[np.array(positions, np.int64)]
        return self._contents.of(self._index.numbers(keys))


class View:
    """The world at `now`, epoch seconds. It takes over from another what looks the same in both."""

    def __init__(self, world: World, now: int, other: View | None = None) -> None:
        self.world = world
        self.now = now
        self._numbers = {account.sid: i for i, account in enumerate(world.accounts)}
        self._index: _Index = other._index if other else _Index(world)
        self._contents: _Contents = _Contents(
            len(world.messages), other._contents if other else None
        )
        changed: Sequence[int] = (
            self._index.changed_between(other.now, now) if other else range(len(world.messages))
        )
        listed = [list[int]() for _ in world.accounts]
        sent = [list[int]() for _ in world.accounts]
        for number in changed:
            message = world.messages[number]
            if not message.is_listed(now):
                continue
            self._contents.put(number, wire.render(wire.message_record(world, message, now)))
            key = self._index.key(number, self.time_of(message))
            listed[message.account].append(key)
            if message.sent is not None and message.sent <= now:
                sent[message.account].append(key)
        self._contents.close()
        is_changed = np.zeros(len(world.messages), bool)
        is_changed[[self._index.ranks[number] for number in changed]] = True
        self._all: list[Keys] = _merged(other._all if other else [], is_changed, listed)
        self._sent: list[Keys] = _merged(other._sent if other else [], is_changed, sent)
        self.usage = self._index.bills.as_of(now)
        self._usage_records: dict[tuple[object, ...], list[bytes]] = {}

    def time_of(self, message: Message) -> int:
        """Where a message stands in a list."""
        if message.sent is not None and message.sent <= self.now:
            return message.sent
        return message.created

    def messages(self, account_sid: str, *, only_sent: bool) -> Listing:
        """One account's messages: all, or those with date_sent."""
        keys = (self._sent if only_sent else self._all)[self._numbers[account_sid]]
        return Listing(keys, self._index, self.world, self._contents)

    def find(self, account_sid: str, sid: str) -> Message | None:
        """A message of an account, listed already or not; None when it has no such message."""
        number = self._index.number_of.get(sid)
        if number is None:
            return None
        message = self.world.messages[number]
        is_there = self._numbers[account_sid] == message.account and message.exists(self.now)
        return message if is_there else None

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


def _merged(
    known: Sequence[Keys], is_changed: npt.NDArray[np.bool_], added: Iterable[list[int]]
) -> list[Keys]:
    """The keys of each account: those known without what changed, and those added."""
    added_keys = [np.array(keys, np.int64) for keys in added]
    if not known:
        return [np.sort(keys) for keys in added_keys]
    return [
        # Two ascending stretches: what a stable sort takes in one go.
        np.sort(np.concatenate([held[~is_changed[-held & _RANK]], np.sort(new)]), kind="stable")
        for held, new in zip(known, added_keys, strict=True)
    ]
