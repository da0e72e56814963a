"""What a reader knows of the world who has read certain windows of it at certain instants.

The windows are given as a ledger has them. Each message is known as its last reading showed it,
also after it has vanished: deleted, or its account suspended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import ceil

from simulator.message import Message, MessageState
from simulator.usage import Amounts, Bills, totals
from simulator.world import DAY, World

MESSAGES, UNSENT_MESSAGES, USAGE = "messages", "unsent_messages", "usage_records"
ACCOUNTS = "accounts"


@dataclass(frozen=True)
class Read:
    """A window that was asked for, as a rule read whole.

    Attributes:
        dataset: `messages`: those with date_sent in the window; `unsent_messages`: those without,
            created in it; `usage_records`: usage of the days that begin in it.
        account_sid: the account that was asked.
        start: first instant of the window, UTC.
        end: its end, exclusive.
        at: the instant at which the world was looked at.
        message_sids: messages that were asked for one by one, in place of a list.
        outcome: what came of it, in the ledger's words; `ok` and `empty` ones were read whole.
        record_count: how many records had come. Of usage that was not read whole they are the
            first ones of its list, and known; of messages nothing is known then.
    """

    dataset: str
    account_sid: str
    start: datetime
    end: datetime
    at: datetime
    message_sids: frozenset[str] = frozenset()
    outcome: str = "ok"
    record_count: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all of it was read."""
        return self.outcome in ("ok", "empty")


@dataclass(frozen=True)
class Known:
    """A message as its reader knows it.

    Attributes:
        state: what was shown when it was last seen.
        seen_at: when that was, epoch seconds.
        read_at: when a window it belongs to was last read, epoch seconds; it may have vanished.
        bodies: all it was ever seen with; more than one when it was redacted.
        was_scheduled: whether it was ever seen as scheduled.
    """

    message: Message
    state: MessageState
    seen_at: int
    read_at: int
    bodies: frozenset[str]
    was_scheduled: bool = False


@dataclass(frozen=True, slots=True)
class _Window:
    dataset: str
    start: int
    end: int
    at: int
    message_sids: frozenset[str]
    is_whole: bool
    record_count: int

    def holds(self, dataset: str, instant: int, sid: str) -> bool:
        return (
            sid in self.message_sids
            if self.message_sids
            else self.dataset == dataset and self.start <= instant < self.end
        )

    def shows(self, message: Message) -> bool:
        """Whether the message was in what was read."""
        if self.message_sids:
            return message.sid in self.message_sids and message.exists(self.at)
        if not message.is_listed(self.at):
            return False
        if message.sent is not None and message.sent <= self.at:
            return self.dataset == MESSAGES and self.start <= message.sent < self.end
        return self.dataset == UNSENT_MESSAGES and self.start <= message.created < self.end


def reads_of_all(
    world: World, instants: Iterable[datetime], since: datetime, *, with_unsent: bool = True
) -> list[Read]:
    """The readings of one who reads everything since `since`, a UTC midnight, at each instant.

    Usage is read from the first day of the month. An account is read while it is active.
    """
    first_of_month = since.replace(day=1)
    return [
        Read(dataset, account.sid, first_of_month if dataset == USAGE else since, at, at)
        for at in instants
        for account in world.accounts
        if account.is_active(int(at.timestamp()))
        for dataset in (MESSAGES, UNSENT_MESSAGES, USAGE)
        if with_unsent or dataset != UNSENT_MESSAGES
    ]


def known_messages(world: World, reads: Sequence[Read]) -> Iterator[Known]:
    """Every message that was ever seen, ascending by when it was created."""
    windows = _newest_first(world, reads, (MESSAGES, UNSENT_MESSAGES))
    last = max((window.at for of_account in windows for window in of_account), default=0)
    for message in world.messages:
        if message.created > last:
            break
        known = _known(message, windows[message.account])
        if known:
            yield known


def visible_sids(
    world: World, instants: Iterable[datetime], since: datetime, *, with_unsent: bool = True
) -> set[str]:
    """All messages that lists showed at any of the instants, sent, or created, since `since`."""
    reads = reads_of_all(world, instants, since, with_unsent=with_unsent)
    return {known.message.sid for known in known_messages(world, reads)}


def last_shown(world: World, message: Message, at: datetime) -> MessageState | None:
    """What Twilio last showed of a message, in a list or by its SID, up to an instant.

    None: it never showed it.
    """
    instant = int(at.timestamp())
    account = world.accounts[message.account]
    ends = [end - 1 for end in (message.deleted, account.ended) if end is not None]
    shown = min([instant, *ends])
    if shown < max(message.created, account.created):
        return None
    return message.state_at(shown)


def known_usage(world: World, reads: Sequence[Read]) -> dict[tuple[int, date], KnownDay]:
    """Usage by account number and GMT day, each category as it was when it was last read."""
    bills = Bills(world)
    looks: dict[tuple[int, date], list[_Look]] = defaultdict(list)
    for account, windows in enumerate(_newest_first(world, reads, (USAGE,), only_whole=False)):
        for window in windows:
            for day, names in _read_of_usage(window, account, bills):
                looks[account, day].append(_Look(window.at, names))
    by_instant: dict[int, list[tuple[int, date]]] = defaultdict(list)
    for key, of_day in looks.items():
        for look in _up_to_a_whole_one(of_day):
            by_instant[look.at].append(key)
    seen: dict[tuple[int, date], dict[int, dict[str, Amounts]]] = defaultdict(dict)
    for at, keys in by_instant.items():
        ledger = bills.as_of(at)
        for key in keys:
            seen[key][at] = ledger.get(key, {})
    return {key: _known_day(of_day, seen[key]) for key, of_day in looks.items()}


@dataclass(frozen=True)
class KnownDay:
    """Usage of a day by category, and when all of it was last read, epoch seconds; None: never."""

    read_at: int | None
    categories: dict[str, Amounts]


@dataclass(frozen=True)
class _Look:
    """When a day's usage was read, and which categories: None stands for all."""

    at: int
    names: frozenset[str] | None


def _read_of_usage(
    window: _Window, account: int, bills: Bills
) -> Iterator[tuple[date, frozenset[str] | None]]:
    """The days of a window that were read, and of each the categories; None stands for all."""
    days = [_date(day) for day in range(-(-window.start // DAY), -(-window.end // DAY))]
    if window.is_whole:
        yield from ((day, None) for day in days)
        return
    left = window.record_count
    ledger = bills.as_of(window.at) if left else {}
    for day in reversed(days):  # as Twilio lists them, each with its categories by name
        if left <= 0:
            return
        names = [*totals(ledger, [account], day, day)]
        yield day, frozenset(names[:left])
        left -= len(names)


def _up_to_a_whole_one(looks: Sequence[_Look]) -> Iterator[_Look]:
    """Of the readings of a day, newest first, those that still say something."""
    for look in looks:
        yield look
        if look.names is None:
            return


def _known_day(looks: Sequence[_Look], seen: dict[int, dict[str, Amounts]]) -> KnownDay:
    categories: dict[str, Amounts] = {}
    for look in _up_to_a_whole_one(looks):
        names = {*seen[look.at], "totalprice"} if look.names is None else look.names
        for name in names:
            categories.setdefault(name, seen[look.at].get(name, Amounts()))
    read_at = next((look.at for look in looks if look.names is None), None)
    return KnownDay(read_at, categories)


def unbroken(reads: Iterable[Read], dataset: str) -> dict[str, list[tuple[datetime, datetime]]]:
    """The stretches of time read of each account: windows that touch or overlap are one."""
    by_account: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for read in sorted(reads, key=lambda read: read.start):
        if read.dataset != dataset or read.message_sids or not read.is_whole:
            continue
        stretches = by_account[read.account_sid]
        if stretches and read.start <= stretches[-1][1]:
            stretches[-1] = stretches[-1][0], max(stretches[-1][1], read.end)
        else:
            stretches.append((read.start, read.end))
    return by_account


def _newest_first(
    world: World, reads: Iterable[Read], datasets: tuple[str, ...], *, only_whole: bool = True
) -> list[list[_Window]]:
    """The windows of each account."""
    numbers = {account.sid: i for i, account in enumerate(world.accounts)}
    windows: list[list[_Window]] = [[] for _ in world.accounts]
    for read in reads:
        if read.dataset in datasets and (read.is_whole or not only_whole):
            # Instants of the world are whole seconds.
            start, end = ceil(read.start.timestamp()), ceil(read.end.timestamp())
            at = int(read.at.timestamp())
            windows[numbers[read.account_sid]].append(
                _Window(
                    read.dataset,
                    start,
                    end,
                    at,
                    read.message_sids,
                    read.is_whole,
                    read.record_count,
                )
            )
    for of_account in windows:
        of_account.sort(key=lambda window: -window.at)
    return windows


def _known(message: Message, windows: Sequence[_Window]) -> Known | None:
    seen = next((window for window in windows if window.shows(message)), None)
    if seen is None:
        return None
    state = message.state_at(seen.at)
    dataset = UNSENT_MESSAGES if state.sent is None else MESSAGES
    instant = message.created if state.sent is None else state.sent
    read_at = next(
        (window.at for window in windows if window.holds(dataset, instant, message.sid)), seen.at
    )
    bodies = {state.body}
    if message.redacted is not None:
        bodies |= {message.state_at(w.at).body for w in windows if w.shows(message)}
    was_scheduled = any(status == "scheduled" for _, status in message.steps) and any(
        window.shows(message) and message.state_at(window.at).status == "scheduled"
        for window in windows
    )
    return Known(message, state, seen.at, read_at, frozenset(bodies), was_scheduled)


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * DAY, UTC).date()
