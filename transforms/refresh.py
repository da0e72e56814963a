"""What to ask Twilio for now: pure decisions from the clock, the ledger and what is still open.

Twilio filters messages by DateSent only, yet changes them for days after. So a daily run reads
what is new, and of what it has read before only the stretches in which something is still open,
at the ages of `Ages`, by whatever takes the fewest requests: the unfiltered list from the newest
message back (which alone shows messages without date_sent), pages of a DateSent window, or single
messages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.ages import Ages
from transforms.windows import (
    Span,
    Window,
    first_of_month,
    first_of_next_month,
    join_spans,
    midnight,
    split_days,
    split_months,
    subtract_spans,
)

Instants = np.ndarray  # of int64: seconds since 1970, UTC

# Twilio keeps messages for 400 days and refuses a window that begins before
# (code 20004; support article 223181008).
RETENTION = timedelta(days=399)
# Unread time this close to the end of retention is worth a warning.
RETENTION_WARNING = timedelta(days=20)
# The newest messages may be absent from the list for a while (github.com/twilio/twilio-java
# issues 442), so new time is read from a little before where the last reading ended.
OVERLAP = timedelta(hours=2)
# Usage of a day may be corrected for three days after its end.
USAGE_GIVEN_UP_AFTER = timedelta(days=100)
USAGE_SETTLES_AFTER = timedelta(days=4)
# Rows of a page that are counted on: a page has 1000, and late ones and both bounds take some.
PAGE_ROWS = 980
_WINDOW_PAGES = 20  # a window longer than that keeps one thread too long
# The requests for single messages of one run, as a part of those for its new messages.
_SINGLES_SHARE = 0.3
_SINGLES_AT_LEAST = 3
_BULK = 20  # messages of one second that are not worth a request each

# twilio.com/docs/messaging/api/message-resource#message-status-values
FINAL = ("delivered", "read", "failed", "undelivered", "canceled", "received")
NEVER_PRICED = ("failed", "undelivered", "canceled")
# The same rule by which the models call a message settled (sql: int_messages_settled).
# Outcomes of the ledger after which a window is read again.
NOT_READ = ("failed", "denied", "not_found")
SENT_IS_FINAL = timedelta(hours=72)
NO_PRICE_IS_FINAL = timedelta(hours=24)
_DAY = 86_400


@dataclass(frozen=True)
class Planned:
    """One window with why it is read and how many requests it is expected to take (None: a
    first reading, nobody knows)."""

    window: Window
    reason: str
    requests: int | None


@dataclass(frozen=True)
class KnownAccount:
    """What the lake knows of one account, as far as a plan needs it.

    Attributes:
        covered: the time whose sent messages were read well, oldest first.
        failed: the time that could not be read.
        since: from when on daily runs have read, or tried to; None: no daily run yet.
        scanned_until: up to where daily runs have looked for messages without date_sent.
        sent_at: when its messages of the last days were sent, ascending.
        open_at: when its open messages with date_sent were sent, ascending.
        open_read_at: when each of those was last read.
        unsent: its open messages without date_sent: SID, created_at, last read, is scheduled.
    """

    account_sid: str
    covered: Sequence[Span] = ()
    failed: Sequence[Span] = ()
    since: datetime | None = None
    scanned_until: datetime | None = None
    sent_at: Instants = field(default_factory=lambda: np.empty(0, np.int64))
    open_at: Instants = field(default_factory=lambda: np.empty(0, np.int64))
    open_read_at: Instants = field(default_factory=lambda: np.empty(0, np.int64))
    unsent: Sequence[tuple[str, int, int, bool]] = ()


def earliest_readable(now: datetime) -> datetime:
    """The first instant that Twilio still answers for."""
    return midnight((now - RETENTION).date())


def know_account(
    account_sid: str, messages: pa.Table, ledger: pa.Table, now: datetime, ages: Ages
) -> KnownAccount:
    """Sum up what the lake holds of an account.

    Args:
        messages: rows of `messages` created within the oldest of `ages`; the columns account_sid,
            message_sid, status, price, created_at and sent_at are used.
        ledger: rows of `extractions`.
    """
    rows = messages.filter(pc.equal(messages["account_sid"], account_sid))
    mine = ledger.filter(pc.equal(ledger["account_sid"], account_sid))
    read = mine.filter(pc.is_in(mine["outcome"], value_set=pa.array(["ok", "empty"])))
    sent_windows = read.filter(pc.equal(read["dataset"], "messages"))
    unsent_windows = read.filter(pc.equal(read["dataset"], "unsent_messages"))
    failed = mine.filter(
        pc.and_(
            pc.equal(mine["dataset"], "messages"),
            pc.is_in(mine["outcome"], value_set=pa.array(NOT_READ)),
        )
    )
    status, price = rows["status"], rows["price"]
    is_sent = pc.is_valid(rows["sent_at"])
    message_at = _seconds(pc.coalesce(rows["sent_at"], rows["created_at"]))
    read_at = np.where(
        _mask(is_sent), last_reads(sent_windows, message_at), last_reads(unsent_windows, message_at)
    )
    read_age = read_at - message_at
    is_final = _mask(pc.is_in(status, value_set=pa.array(FINAL))) | (
        _mask(pc.equal(status, "sent")) & (read_age >= _seconds_of(SENT_IS_FINAL))
    )
    is_priced = _mask(pc.is_valid(price)) | (
        _mask(pc.is_in(status, value_set=pa.array(NEVER_PRICED)))
        & (read_age >= _seconds_of(NO_PRICE_IS_FINAL))
    )
    is_open = ~(is_final & is_priced)
    sent = _mask(is_sent)
    order = np.argsort(message_at, kind="stable")
    open_sent = order[(is_open & sent)[order]]
    recent = message_at >= _second(now - ages.sent[-1] - timedelta(days=1))
    waiting = np.flatnonzero(is_open & ~sent)
    sids = rows["message_sid"].take(pa.array(waiting)).to_pylist()
    scheduled = _mask(pc.equal(status, "scheduled"))
    return KnownAccount(
        account_sid=account_sid,
        covered=join_spans(_spans(sent_windows)),
        since=pc.min(_of_daily_runs(mine, "messages")["window_start"]).as_py(),
        scanned_until=_scanned_until(mine),
        failed=_spans(failed),
        sent_at=np.sort(message_at[sent & recent]),
        open_at=message_at[open_sent],
        open_read_at=read_at[open_sent],
        unsent=[
            (sid, int(message_at[i]), int(read_at[i]), bool(scheduled[i]))
            for sid, i in zip(sids, waiting, strict=True)
        ],
    )


def last_reads(windows: pa.Table, instants: Instants) -> Instants:
    """When the newest reading of a window around each instant was made; 0 where there is none.

    Args:
        windows: rows of `extractions` that were read well, all of one account and dataset.
        instants: seconds since 1970, UTC.
    """
    starts, ends = _seconds(windows["window_start"]), _seconds(windows["window_end"])
    edges = np.unique(np.concatenate([starts, ends]))
    newest = np.zeros(len(edges) + 1, np.int64)
    read_at = _seconds(windows["read_at"])
    for i in np.argsort(read_at, kind="stable"):
        first, last = np.searchsorted(edges, (starts[i], ends[i]))
        newest[first + 1 : last + 1] = read_at[i]
    return newest[np.searchsorted(edges, instants, side="right")]


def plan_new_and_open(
    known: KnownAccount, now: datetime, *, initial_days: int, unsent_pages: int, ages: Ages
) -> list[Planned]:
    """What a daily run asks of one account's messages."""
    earliest = earliest_readable(now)
    begin = known.since or midnight((now - timedelta(days=initial_days)).date())
    begin = max(begin, earliest)
    # What daily runs have left out: the new time, and gaps that were never asked for or failed.
    unread = subtract_spans([(begin, now), *known.failed], known.covered)
    unread = [(max(start, earliest), end) for start, end in unread if end > earliest]
    new = [span for span in unread if span[1] >= now]
    missed = [(max(start - OVERLAP, earliest), end) for start, end in unread if end < now]
    if not known.covered:
        first = min([begin, *(start for start, _ in missed)])
        return _first_reading(known.account_sid, first, now, unsent_pages)
    last_end = new[0][0] if new else now
    start = max(last_end - OVERLAP, earliest)
    if unsent_pages:
        scanned_until = known.scanned_until or begin
        start = max(min(start, scanned_until - OVERLAP), earliest)
    expected = _pace(known) * (now - last_end).total_seconds()
    open_at = known.open_at[
        _is_due(known.open_at, known.open_read_at, now, ages.sent)
        & (known.open_at < _second(start))
    ]
    open_at = _without_costly_middle(known, open_at, now, ages)
    due_unsent = [
        (sid, created)
        for sid, created, read, is_scheduled in known.unsent
        if _is_due(
            np.array([created]), np.array([read]), now,
            ages.sent + (ages.scheduled if is_scheduled else ()),
        )[0]
        and created < _second(start)
    ]  # fmt: skip
    singles = max(_SINGLES_AT_LEAST, math.ceil(_SINGLES_SHARE * expected / PAGE_ROWS))
    depth, pages = _scan_depth(known, start, expected, open_at, due_unsent, singles, unsent_pages)
    planned = []
    if unsent_pages:
        scan = Window("unsent_messages", known.account_sid, depth, now)
        why = "new messages" if depth == start else "new messages, and open ones on the way"
        planned.append(Planned(scan, f"{why}, newest first", min(pages, unsent_pages)))
        open_at = open_at[open_at < _second(depth)]
        due_unsent = [entry for entry in due_unsent if entry[1] < _second(depth)]
    reach = now - (now - depth) * min(1.0, 0.9 * unsent_pages / pages)
    if pages <= unsent_pages:
        reach = depth
    for first, until in _split(depth, reach, pages):
        window = Window("messages", known.account_sid, first, until)
        share = (until - first) / (now - depth)
        planned.append(Planned(window, "new messages", math.ceil(pages * share)))
    for first, until in _split(reach, now, pages):
        window = Window("messages", known.account_sid, first, until)
        planned.append(Planned(window, "new messages, if the scan does not get there", 0))
    for first, until, count in cover(open_at, known.sent_at):
        window = Window("messages", known.account_sid, first, until)
        planned.append(Planned(window, "open messages", _pages(count)))
    planned += _singles(known.account_sid, _whole_seconds(due_unsent, singles))
    for first, until in missed:
        pages = _pages(_pace(known) * (until - first).total_seconds())
        for part_start, part_end in _split(first, until, pages):
            window = Window("messages", known.account_sid, part_start, part_end)
            planned.append(Planned(window, "could not be read before", None))
    return planned


def plan_deep(known: KnownAccount, now: datetime, *, days: int, unsent_pages: int) -> list[Planned]:
    """Everything of the last days once more: redactions and late corrections move nothing that
    could be asked for."""
    begin = min((start for start, _ in known.covered), default=now)
    start = max(midnight((now - timedelta(days=days)).date()), earliest_readable(now), begin)
    planned = _first_reading(known.account_sid, start, now, unsent_pages)
    return planned + _singles(
        known.account_sid, [(sid, created) for sid, created, _, _ in known.unsent]
    )


def plan_span(
    account_sid: str, start: datetime, end: datetime, reason: str = "history"
) -> list[Planned]:
    """Message windows of whole UTC days, oldest first."""
    return [
        Planned(Window("messages", account_sid, first, until), reason, None)
        for first, until in split_days(start, end)
    ]


def plan_scan(account_sid: str, start: datetime, end: datetime) -> list[Planned]:
    """The scan of the unfiltered list for messages without date_sent."""
    if start >= end:
        return []
    window = Window("unsent_messages", account_sid, start, end)
    return [Planned(window, "messages without date_sent", None)]


def plan_usage(
    accounts: Sequence[str], starts: Mapping[str, datetime], end: datetime, now: datetime
) -> list[Planned]:
    """Usage windows of at most a month, from the first day of the earliest month touched.

    Longer ranges make Twilio fail (github.com/airbytehq/airbyte/issues/23512).
    """
    return [
        Planned(Window("usage_records", account_sid, start, until), "usage by day", 1)
        for account_sid in accounts
        for start, until in split_months(
            max(first_of_month(starts[account_sid]), earliest_readable(now)), end
        )
    ]


def plan_daily_usage(
    ledger: pa.Table, account_sid: str, now: datetime, initial_days: int
) -> list[Planned]:
    """An account's usage that is new, may be corrected or could not be read before."""
    usage = ledger.filter(
        pc.and_(
            pc.equal(ledger["dataset"], "usage_records"),
            pc.equal(ledger["account_sid"], account_sid),
        )
    )
    read = usage.filter(pc.is_in(usage["outcome"], value_set=pa.array(["ok", "empty"])))
    failed = usage.filter(pc.is_in(usage["outcome"], value_set=pa.array(NOT_READ)))
    first: datetime | None = pc.min(_of_daily_runs(usage, "usage_records")["window_start"]).as_py()
    begin = first or midnight((now - timedelta(days=initial_days)).date())
    # Accounts without usage are answered with 404 for ever: what is long past is let be.
    earliest = first_of_month(max(earliest_readable(now), now - USAGE_GIVEN_UP_AFTER))
    wanted = {first_of_month(start) for start, _ in split_months(max(begin, earliest), now)}
    wanted |= {
        first_of_month(start)
        for start, _ in subtract_spans(_spans(failed), _spans(read))
        if start >= earliest
    }
    settled = {
        first_of_month(row["window_start"])
        for row in read.to_pylist()
        if row["window_start"] == first_of_month(row["window_start"])
        and row["window_end"] >= first_of_next_month(row["window_start"])
        and row["read_at"] >= first_of_next_month(row["window_start"]) + USAGE_SETTLES_AFTER
    }
    return [
        entry
        for month in sorted(wanted - settled)
        for entry in plan_usage(
            [account_sid], {account_sid: month}, min(first_of_next_month(month), now), now
        )
    ]


def plan_triggers(accounts: Sequence[str], now: datetime) -> list[Planned]:
    """One reading of the usage triggers an account."""
    return [
        Planned(Window("usage_triggers", account_sid, now, now), "spending alerts", 1)
        for account_sid in accounts
    ]


def about_to_be_lost(known: KnownAccount, now: datetime) -> list[Span]:
    """Time that could not be read and that Twilio soon answers for no more."""
    limit = now - RETENTION + RETENTION_WARNING
    return [
        (start, end)
        for start, end in subtract_spans(known.failed, known.covered)
        if start < limit and end > earliest_readable(now)
    ]


def cover(open_at: Instants, sent_at: Instants) -> list[tuple[datetime, datetime, int]]:
    """The fewest pages that show all open messages: windows with the messages in each.

    From the first open message a window takes what fits on a page, the next begins at the first
    open one after it; so stretches with nothing open are passed over. Windows that follow one
    another without a gap are one window of several pages.

    Args:
        open_at: when the open messages were sent, ascending.
        sent_at: when all messages were sent, ascending.
    """
    windows: list[tuple[int, int]] = []
    at = 0
    while at < len(open_at):
        first = np.searchsorted(sent_at, open_at[at])
        beyond = first + PAGE_ROWS
        limit = sent_at[beyond] if beyond < len(sent_at) else open_at[-1] + 1
        after = max(int(np.searchsorted(open_at, limit)), at + 1)
        start, end = int(open_at[at]), int(open_at[after - 1]) + 1
        between = _count(sent_at, windows[-1][1], start) if windows else 1
        if between == 0 and _count(sent_at, windows[-1][0], end) <= _WINDOW_PAGES * PAGE_ROWS:
            windows[-1] = windows[-1][0], end
        else:
            windows.append((start, end))
        at = after
    return [(_instant(start), _instant(end), _count(sent_at, start, end)) for start, end in windows]


def _of_daily_runs(ledger: pa.Table, dataset: str) -> pa.Table:
    is_daily = pc.match_substring_regex(ledger["run_id"], "^(daily|deep-refresh)-")
    return ledger.filter(pc.and_(is_daily, pc.equal(ledger["dataset"], dataset)))


def _scanned_until(ledger: pa.Table) -> datetime | None:
    """The newest end of the daily scans that were made well; single messages are no scan."""
    scans = _of_daily_runs(ledger, "unsent_messages")
    is_read = pc.is_in(scans["outcome"], value_set=pa.array(["ok", "empty"]))
    length = _seconds(scans["window_end"]) - _seconds(scans["window_start"])
    good = scans.filter(pc.and_(is_read, pa.array(length > 1)))
    until: datetime | None = pc.max(good["window_end"]).as_py()
    return until


def _first_reading(
    account_sid: str, start: datetime, now: datetime, unsent_pages: int
) -> list[Planned]:
    scan = plan_scan(account_sid, start, now) if unsent_pages else []
    return scan + plan_span(account_sid, start, now, "read whole")


def _is_due(
    message_at: Instants, read_at: Instants, now: datetime, ages: Iterable[timedelta]
) -> np.ndarray:
    """Whether a message has come to an age at which it was not read yet."""
    limits = np.array([_seconds_of(age) for age in sorted(ages)])
    reached = np.searchsorted(limits, _second(now) - message_at, side="right")
    read = np.searchsorted(limits, read_at - message_at, side="right")
    due: np.ndarray = reached > read
    return due


def _without_costly_middle(
    known: KnownAccount, open_at: Instants, now: datetime, ages: Ages
) -> Instants:
    """Between the first age and the last a day is read again only where that takes at most half
    of its pages; else its open messages wait for the last age."""
    first, last = _seconds_of(ages.sent[0]), _seconds_of(ages.sent[-1])
    age = _second(now) - open_at
    kept = (age < first + _DAY) | (age >= last)
    for day in np.unique(age[~kept] // _DAY):
        of_day = (age // _DAY == day) & ~kept
        end = _second(now) - int(day) * _DAY + 1
        whole = _pages(_count(known.sent_at, end - _DAY, end))
        cost = sum(_pages(count) for _, _, count in cover(open_at[of_day], known.sent_at))
        if 2 * cost <= whole:
            kept |= of_day
    return open_at[kept]


def _scan_depth(
    known: KnownAccount, start: datetime, expected: float, open_at: Instants,
    unsent: Sequence[tuple[str, int]], singles: int, unsent_pages: int,
) -> tuple[datetime, int]:  # fmt: skip
    """How far back the scan goes, and its pages: as far as it saves requests elsewhere, at least
    to `start`."""
    created = np.sort(np.array([at for _, at in unsent], dtype=np.int64))

    def pages(depth: int) -> int:
        return _pages(expected + _count(known.sent_at, depth, 2**62))

    def requests(depth: int) -> int:
        older = cover(open_at[open_at < depth], known.sent_at)
        alone = min(singles, int((created < depth).sum()))
        return pages(depth) + sum(_pages(count) for _, _, count in older) + alone

    wanted = np.concatenate([open_at, created])
    ages = (_second(start) - wanted) // _DAY
    candidates = [int(wanted[ages == age].min()) for age in np.unique(ages)]
    depth = min(
        [_second(start), *(at for at in candidates if pages(at) <= unsent_pages)],
        key=lambda at: (requests(at), -at),
    )
    return _instant(depth), pages(depth)


def _pace(known: KnownAccount) -> float:
    """Messages a second, in the last days that were read."""
    if not len(known.sent_at):
        return 0.0
    begin = max(int(known.sent_at[0]), _second(known.covered[-1][0]))
    return len(known.sent_at) / max(_second(known.covered[-1][1]) - begin, 3600)


def _split(start: datetime, end: datetime, pages: int) -> list[Span]:
    """One stretch, or its days where it has too many pages for one thread."""
    if start >= end:
        return []
    return [(start, end)] if pages <= _WINDOW_PAGES else list(split_days(start, end))


def _singles(account_sid: str, unsent: Iterable[tuple[str, int]]) -> list[Planned]:
    """Known messages to ask for one by one, as one window of an account."""
    entries = sorted(unsent, key=lambda entry: entry[1])
    if not entries:
        return []
    window = Window(
        "unsent_messages", account_sid, _instant(entries[0][1]), _instant(entries[-1][1] + 1),
        tuple(sid for sid, _ in entries), tuple(_instant(at) for _, at in entries),
    )  # fmt: skip
    return [Planned(window, "known without date_sent, one by one", len(entries))]


def _whole_seconds(unsent: Sequence[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    """As many as may be asked for, oldest first, never some of a second alone: the ledger says of
    a whole second that it was read. What was created in bulk is left to the deep refresh."""
    chosen: list[tuple[str, int]] = []
    ordered = sorted(unsent, key=lambda entry: entry[1])
    for _, group in groupby(ordered, key=lambda entry: entry[1]):
        second = list(group)
        if len(second) > _BULK:
            continue
        if chosen and len(chosen) + len(second) > most:
            break
        chosen += second
    return chosen


def _pages(count: float) -> int:
    return max(1, math.ceil(count / PAGE_ROWS))


def _count(sent_at: Instants, start: int, end: int) -> int:
    first, last = np.searchsorted(sent_at, (start, end))
    return int(last - first)


def _spans(windows: pa.Table) -> list[Span]:
    return list(
        zip(windows["window_start"].to_pylist(), windows["window_end"].to_pylist(), strict=True)
    )


def _mask(values: pa.ChunkedArray) -> np.ndarray:
    mask: np.ndarray = pc.fill_null(values, False).to_numpy().astype(bool)
    return mask


def _seconds(values: pa.ChunkedArray) -> Instants:
    return values.cast(pa.int64()).to_numpy() // 1_000_000


def _second(instant: datetime) -> int:
    return int(instant.timestamp())


def _seconds_of(age: timedelta) -> int:
    return int(age.total_seconds())


def _instant(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
