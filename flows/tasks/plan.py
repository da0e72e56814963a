"""Look into the lake and decide what to ask for; the decisions are in `transforms.refresh`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from flows.errors import WrongUseError
from flows.orchestration import task
from flows.run import Run
from transforms.ages import LONGEST_WAIT, Ages, earliest_readable
from transforms.knowledge import (
    KnownAccount,
    instant_of,
    know_accounts,
    know_unsent,
    looked_for,
    may_be_open,
    read_badly,
    read_well,
    spans_of,
)
from transforms.refresh import (
    OVERLAP,
    about_to_be_lost,
    plan_deep,
    plan_new_and_open,
    plan_scan,
    plan_span,
)
from transforms.refresh_usage import plan_daily_usage, plan_triggers, plan_usage
from transforms.tables import EXTRACTIONS, MESSAGES
from transforms.windows import (
    Planned,
    Span,
    Window,
    first_of_next_month,
    join_spans,
    midnight,
    split_months,
    subtract_spans,
)

_NEEDED = ("account_sid", "status", "price", "created_at", "sent_at")


@task(name="plan")
def plan_daily(run: Run, accounts: list[str]) -> list[Planned]:
    """The windows of a daily run."""
    settings, ledger = run.settings, run.lake.read(EXTRACTIONS)
    planned: list[Planned] = []
    for known in _know_accounts(run, accounts, ledger):
        planned += plan_new_and_open(
            known, run.now, initial_days=settings.initial_days,
            unsent_pages=settings.unsent_pages, ages=settings.ages,
        )  # fmt: skip
        for start, end in about_to_be_lost(known, run.now):
            run.notices.append(
                f"Messages of {known.account_sid} from {start:%Y-%m-%d} to {end:%Y-%m-%d} could "
                "not be read yet, and Twilio keeps them no longer than 400 days."
            )
    for account_sid in accounts:
        planned += plan_daily_usage(ledger, account_sid, run.now, settings.initial_days)
    return [*planned, *plan_triggers(accounts, run.now)]


@task(name="plan deep refresh")
def plan_deep_refresh(run: Run, accounts: list[str]) -> list[Planned]:
    """The windows of a pass over everything of the last WAREHOUSE_DEEP_DAYS days."""
    settings, ledger = run.settings, run.lake.read(EXTRACTIONS)
    start = midnight((run.now - timedelta(days=settings.deep_days)).date())
    planned: list[Planned] = []
    for known in _know_accounts(run, accounts, ledger):
        planned += plan_deep(
            known, run.now, days=settings.deep_days, unsent_pages=settings.unsent_pages
        )
    return [*planned, *plan_usage(accounts, dict.fromkeys(accounts, start), run.now, run.now)]


@task(name="plan month close")
def plan_month(run: Run, accounts: list[str], month: date) -> list[Planned]:
    """The windows of a whole month, read once more.

    Raises:
        WrongUseError: the month has not begun or is beyond what Twilio keeps.
    """
    start, end = check_month(run.now, month)
    return _month(run, accounts, start, end)


@task(name="plan backfill")
def plan_backfill(
    run: Run, accounts: list[str], since: date, until: date | None
) -> list[list[Planned]]:
    """The windows of a backfill, a list a month, newest month first, without those that an
    interrupted backfill of the same range has read already."""
    start, end = check_range(run.now, since, until)
    if start > midnight(since):
        run.notices.append(
            f"Twilio keeps 400 days: the backfill begins at {start:%Y-%m-%d}, not {since}."
        )
    months = [
        _month(run, accounts, first, last)
        for first, last in reversed(list(split_months(start, end)))
    ]
    scans = [entry for sid in accounts for entry in plan_scan(sid, start, end)]
    if run.settings.unsent_pages:
        months[0] = scans + months[0]
    # The range as it was given: what today or retention make of it moves while it is read.
    prefix = f"backfill-{since:%Y%m%d}-{'today' if until is None else f'{until:%Y%m%d}'}-"
    run.run_id = prefix + run.run_id.rpartition("-")[2]
    unfinished = _unfinished(run, prefix, [entry.window for month in months for entry in month])
    if unfinished.num_rows:
        run.notices.append("Going on with the interrupted backfill of this range.")
        done = _Done(unfinished)
        months = [[left for entry in month for left in done.left_of(entry)] for month in months]
    return [month for month in months if month]


def check_range(now: datetime, since: date, until: date | None) -> tuple[datetime, datetime]:
    """The instants between which a backfill reads, clamped to what Twilio keeps.

    Raises:
        WrongUseError: the range is empty, in the future or wholly beyond retention.
    """
    today = now.date()
    last = today if until is None else until
    if last > today + timedelta(days=1):
        raise WrongUseError(f"--until {last} is in the future; today is {today} (UTC).")
    if since >= last:
        raise WrongUseError(
            f"--since {since} is not before --until {last} (exclusive): there is no day to read."
        )
    earliest = earliest_readable(now)
    if midnight(last) <= earliest:
        raise WrongUseError(
            f"Twilio keeps 400 days: nothing before {earliest:%Y-%m-%d} can be read any more."
        )
    return max(midnight(since), earliest), min(midnight(last), now)


def check_month(now: datetime, month: date) -> tuple[datetime, datetime]:
    """The instants between which a month's close reads, clamped to what Twilio keeps.

    Raises:
        WrongUseError: the month has not begun or is beyond what Twilio keeps.
    """
    first = midnight(month.replace(day=1))
    if first >= now:
        raise WrongUseError(f"{month:%Y-%m} has not begun yet; today is {now.date()} (UTC).")
    start = max(first, earliest_readable(now))
    end = min(first_of_next_month(first), now)
    if start >= end:
        raise WrongUseError(
            f"Twilio keeps 400 days: {month:%Y-%m} cannot be read any more; the first day that "
            f"can is {start:%Y-%m-%d}."
        )
    return start, end


def _know_accounts(run: Run, accounts: Sequence[str], ledger: pa.Table) -> list[KnownAccount]:
    """What the lake knows of each account; only partitions are read in which something may be
    open."""
    ages: Ages = run.settings.ages
    # A scheduled message is sent long after its creation, and may be open long after that.
    oldest, older = run.now - ages.oldest, run.now - ages.oldest - LONGEST_WAIT
    still_open = run.now - ages.sent[-1] - timedelta(days=2)
    files = [file for file in run.lake.files(MESSAGES) if file.partition >= f"{older:%Y-%m-%d}"]
    sent_lately = [
        file.partition
        for file in files
        if file.partition >= f"{still_open:%Y-%m-%d}"
        or run.lake.newest(file, "sent_at", older) >= still_open
    ]
    within_ages = [file.partition for file in files if file.partition >= f"{oldest:%Y-%m-%d}"]
    # What may be open is little, and DuckDB decodes no more of it; all that was sent lately is
    # much, and Arrow reads it in less time.
    messages = run.lake.find(MESSAGES, sorted({*sent_lately, *within_ages}), _NEEDED, may_be_open())
    sent = run.lake.read(MESSAGES, sent_lately, ("account_sid", "sent_at"), is_encoded=True)
    known = know_accounts(accounts, messages, sent, ledger, run.now, ages)
    # Identifiers take as long to read as all the rest, and few days have a message that is asked
    # for by its own.
    days = {instant_of(at).date() for account in known for at in account.unsent_at.tolist()}
    unsent = run.lake.find(
        MESSAGES, [f"{day}" for day in sorted(days)], (*_NEEDED, "message_sid"), "sent_at is null"
    )
    return [
        dataclasses.replace(account, unsent=know_unsent(account.account_sid, unsent, ledger))
        for account in known
    ]


def _month(run: Run, accounts: list[str], start: datetime, end: datetime) -> list[Planned]:
    # A month's cost needs the whole month, whatever days were asked for.
    usage_end = min(first_of_next_month(start), run.now)
    planned = [entry for account_sid in accounts for entry in plan_span(account_sid, start, end)]
    return planned + plan_usage(accounts, dict.fromkeys(accounts, start), usage_end, run.now)


def _unfinished(run: Run, prefix: str, windows: Sequence[Window]) -> pa.Table:
    """The ledger of the runs of a range since the last one that came to its end: it says so, and
    has a word of every window that it could have read."""
    ledger = run.lake.read(EXTRACTIONS)
    ledger = ledger.filter(pc.starts_with(ledger["run_id"], prefix))
    runs = ledger.group_by("run_id").aggregate([("read_at", "max")]).sort_by("read_at_max")
    names: list[str] = runs["run_id"].to_pylist()
    since: list[str] = []
    for name in names:
        since.append(name)
        rows = ledger.filter(pc.is_in(ledger["run_id"], value_set=pa.array(since)))
        last: datetime = pc.max(rows["window_end"]).as_py()
        told = _Done(rows, or_failed=True)
        possible = [window for window in windows if window.end <= last]
        if run.is_finished(name) and all(window in told for window in possible):
            since = []
    return ledger.filter(pc.is_in(ledger["run_id"], value_set=pa.array(since, pa.string())))


class _Done:
    """The windows that a part of the ledger says were read, or (`or_failed`) has a word of."""

    def __init__(self, ledger: pa.Table, *, or_failed: bool = False) -> None:
        self._spans: dict[tuple[str, str], list[Span]] = {}
        for account_sid in pc.unique(ledger["account_sid"]).to_pylist():
            mine = ledger.filter(pc.equal(ledger["account_sid"], account_sid))
            for dataset in pc.unique(mine["dataset"]).to_pylist():
                is_scan = dataset == "unsent_messages"
                spans = looked_for(mine) if is_scan else spans_of(read_well(mine, dataset))
                if or_failed:
                    spans += spans_of(read_badly(mine, dataset))
                self._spans[dataset, account_sid] = join_spans(spans)

    def __contains__(self, window: Window) -> bool:
        spans = self._spans.get((window.dataset, window.account_sid), [])
        return any(start <= window.start and window.end <= end for start, end in spans)

    def left_of(self, entry: Planned) -> list[Planned]:
        """What of a window is still to be read: all or nothing, of a scan what is newer."""
        window = entry.window
        if window in self:
            return []
        if window.dataset != "unsent_messages":
            return [entry]
        looked = self._spans.get((window.dataset, window.account_sid), [])
        ((start, _), *_) = subtract_spans([(window.start, window.end)], looked)
        return plan_scan(window.account_sid, max(start - OVERLAP, window.start), window.end)
