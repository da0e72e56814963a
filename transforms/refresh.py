"""What to ask Twilio for now: pure decisions from the clock, the ledger and what is still open.

Twilio filters messages by DateSent only, yet changes them for days after. So a daily run reads
what is new, and of what it has read before only the stretches in which something is still open,
at the ages of `Ages`, by whatever takes the fewest requests: the unfiltered list from the newest
message back (which alone shows messages without date_sent), pages of a DateSent window, or single
messages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np

from transforms.ages import RETENTION, Ages, earliest_readable
from transforms.knowledge import Instants, KnownAccount, instant_of, second_of, seconds_of
from transforms.windows import Planned, Span, Window, midnight, split_days, subtract_spans

# Unread time this close to the end of retention is worth a warning.
_RETENTION_WARNING = timedelta(days=20)
# The newest messages may be absent from the list for a while (github.com/twilio/twilio-java
# issues 442), so new time is read from a little before where the last reading ended.
OVERLAP = timedelta(hours=2)
# Rows of a page that are counted on: a page has 1000, and late ones and both bounds take some.
PAGE_ROWS = 980
_WINDOW_PAGES = 20  # a window longer than that keeps one thread too long
# The requests for single messages of one run, as a part of those for its new messages.
_SINGLES_SHARE = 0.3
_SINGLES_AT_LEAST = 3
_BULK = 20  # messages of one second that are not worth a request each
_DAY = 86_400


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
    scan_start = _scan_start(known, begin, start) if unsent_pages else start
    expected = _pace(known) * (now - last_end).total_seconds()
    open_at = known.open_at[
        _is_due(known.open_at, known.open_read_at, now, ages.sent)
        & (known.open_at < second_of(start))
    ]
    open_at = _without_costly_middle(known, open_at, now, ages)
    due_unsent = [
        (sid, created)
        for sid, created, read, is_scheduled in known.unsent
        if _is_due(
            np.array([created]), np.array([read]), now,
            ages.sent + (ages.scheduled if is_scheduled else ()),
        )[0]
        and created < second_of(scan_start)
    ]  # fmt: skip
    singles = max(_SINGLES_AT_LEAST, math.ceil(_SINGLES_SHARE * expected / PAGE_ROWS))
    depth, pages = _scan_depth(
        known, scan_start, expected, open_at, due_unsent, singles, unsent_pages
    )
    # The scan shows all from `depth` on; where it may not take so many pages, from about `reach`.
    reach = depth
    if pages > unsent_pages:
        reach = now - (now - depth) * 0.9 * unsent_pages / pages
    is_deeper = depth < scan_start
    needed = depth if is_deeper else start
    planned = []
    if unsent_pages:
        scan = Window("unsent_messages", known.account_sid, depth, now)
        why = "new messages, and open ones on the way" if is_deeper else "new messages"
        planned.append(Planned(scan, f"{why}, newest first", min(pages, unsent_pages)))
    for first, until in _split(needed, reach, pages):
        window = Window("messages", known.account_sid, first, until)
        share = (until - first) / (now - depth)
        planned.append(Planned(window, "new messages", math.ceil(pages * share)))
    for first, until in _split(max(needed, reach), now, pages):
        window = Window("messages", known.account_sid, first, until)
        planned.append(Planned(window, "new messages, if the scan does not get there", 0))
    open_at = open_at[open_at < second_of(min(needed, reach))]
    due_unsent = [entry for entry in due_unsent if entry[1] < second_of(reach)]
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


def about_to_be_lost(known: KnownAccount, now: datetime) -> list[Span]:
    """Time that could not be read and that Twilio soon answers for no more."""
    limit = now - RETENTION + _RETENTION_WARNING
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
    return [
        (instant_of(start), instant_of(end), _count(sent_at, start, end)) for start, end in windows
    ]


def _first_reading(
    account_sid: str, start: datetime, now: datetime, unsent_pages: int
) -> list[Planned]:
    scan = plan_scan(account_sid, start, now) if unsent_pages else []
    return scan + plan_span(account_sid, start, now, "read whole")


def _scan_start(known: KnownAccount, begin: datetime, start: datetime) -> datetime:
    """From where the unfiltered list is searched: from the first gap in what was, at the latest
    from where new messages are read."""
    gaps = subtract_spans([(begin, start)], known.looked)
    return max(gaps[0][0] - OVERLAP, begin) if gaps else start


def _is_due(
    message_at: Instants, read_at: Instants, now: datetime, ages: Iterable[timedelta]
) -> np.ndarray:
    """Whether a message has come to an age at which it was not read yet."""
    limits = np.array([seconds_of(age) for age in sorted(ages)])
    reached = np.searchsorted(limits, second_of(now) - message_at, side="right")
    read = np.searchsorted(limits, read_at - message_at, side="right")
    due: np.ndarray = reached > read
    return due


def _without_costly_middle(
    known: KnownAccount, open_at: Instants, now: datetime, ages: Ages
) -> Instants:
    """Between the first age and the last a day is read again only where that takes at most half
    of its pages; else its open messages wait for the last age."""
    first, last = seconds_of(ages.sent[0]), seconds_of(ages.sent[-1])
    age = second_of(now) - open_at
    kept = (age < first + _DAY) | (age >= last)
    for day in np.unique(age[~kept] // _DAY):
        of_day = (age // _DAY == day) & ~kept
        end = second_of(now) - int(day) * _DAY + 1
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
    open_at = open_at[open_at < second_of(start)]
    created = np.sort(np.array([at for _, at in unsent], dtype=np.int64))

    def pages(depth: int) -> int:
        return _pages(expected + _count(known.sent_at, depth, 2**62))

    def requests(depth: int) -> int:
        older = cover(open_at[open_at < depth], known.sent_at)
        alone = min(singles, int((created < depth).sum()))
        return pages(depth) + sum(_pages(count) for _, _, count in older) + alone

    wanted = np.concatenate([open_at, created])
    ages = (second_of(start) - wanted) // _DAY
    candidates = [int(wanted[ages == age].min()) for age in np.unique(ages)]
    depth = min(
        [second_of(start), *(at for at in candidates if pages(at) <= unsent_pages)],
        key=lambda at: (requests(at), -at),
    )
    return instant_of(depth), pages(depth)


def _pace(known: KnownAccount) -> float:
    """Messages a second, in the last days that were read."""
    if not len(known.sent_at):
        return 0.0
    begin = max(int(known.sent_at[0]), second_of(known.covered[-1][0]))
    return len(known.sent_at) / max(second_of(known.covered[-1][1]) - begin, 3600)


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
        "unsent_messages", account_sid, instant_of(entries[0][1]), instant_of(entries[-1][1] + 1),
        tuple(sid for sid, _ in entries), tuple(instant_of(at) for _, at in entries),
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
