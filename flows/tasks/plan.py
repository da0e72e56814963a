"""Look into the ledger and decide what to ask for; the decisions are in `transforms.refresh`."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.errors import WrongUseError
from flows.run import Run
from transforms.refresh import (
    earliest_readable,
    newest_coverage,
    plan_messages,
    plan_triggers,
    plan_unsent,
    plan_usage,
    start_of_daily,
    unread_windows,
)
from transforms.tables import EXTRACTIONS
from transforms.windows import Window, first_of_next_month, midnight, split_months


@task(name="plan", cache_policy=NO_CACHE)
def plan_daily(run: Run, accounts: list[str]) -> list[Window]:
    """The windows of a daily run, those that take longest first."""
    ledger = run.lake.read(EXTRACTIONS)
    earliest = earliest_readable(run.now)
    starts = {
        account_sid: start_of_daily(
            run.now, newest_coverage(ledger, account_sid), run.settings.initial_days
        )
        for account_sid in accounts
    }
    missed = [
        window
        for window in unread_windows(ledger)
        if window.account_sid in starts and earliest <= window.start < starts[window.account_sid]
    ]
    return [
        *_unsent(run, accounts, starts, run.now),
        *plan_messages(accounts, starts, run.now),
        *missed,
        *plan_usage(accounts, starts, run.now, run.now),
        *plan_triggers(accounts, run.now),
    ]


@task(name="plan backfill", cache_policy=NO_CACHE)
def plan_backfill(
    run: Run, accounts: list[str], since: date, until: date | None
) -> list[list[Window]]:
    """The windows of a backfill, a list a month, newest month first, without those that an
    interrupted backfill of the same range has read already."""
    start, end = check_range(run.now, since, until)
    if start > midnight(since):
        run.notices.append(
            f"Twilio keeps 400 days: the backfill begins at {start:%Y-%m-%d}, not {since}."
        )
    prefix = f"backfill-{start:%Y%m%d}-{end:%Y%m%d}-"
    months = []
    for first, last in reversed(list(split_months(start, end))):
        starts = dict.fromkeys(accounts, first)
        months.append(
            [
                *plan_messages(accounts, starts, last),
                # A month's cost needs the whole month, whatever days were asked for.
                *plan_usage(accounts, starts, min(first_of_next_month(first), run.now), run.now),
            ]
        )
    months[0] = _unsent(run, accounts, dict.fromkeys(accounts, start), end) + months[0]
    ledger = run.lake.read(EXTRACTIONS)
    ledger = ledger.filter(pc.starts_with(ledger["run_id"], prefix))
    run.run_id = prefix + run.run_id.rpartition("-")[2]
    if ledger.num_rows:
        last_run = ledger.sort_by([("read_at", "descending")])["run_id"][0].as_py()
        done = _read_well(ledger.filter(pc.equal(ledger["run_id"], last_run)))
        left = [[window for window in month if not _is_done(window, done)] for month in months]
        if any(left):
            run.run_id = last_run
            run.notices.append("Going on with the interrupted backfill of this range.")
            months = left
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


def _unsent(
    run: Run, accounts: list[str], starts: dict[str, datetime], end: datetime
) -> list[Window]:
    return plan_unsent(accounts, starts, end) if run.settings.unsent_pages else []


def _read_well(ledger: pa.Table) -> set[tuple[str, str, datetime]]:
    good = ledger.filter(pc.is_in(ledger["outcome"], value_set=pa.array(["ok", "empty"])))
    keys = (good[name].to_pylist() for name in ("dataset", "account_sid", "window_end"))
    return set(zip(*keys, strict=True))


def _is_done(window: Window, done: set[tuple[str, str, datetime]]) -> bool:
    # Not by its start: the scan of unsent messages may have stopped earlier, by its page limit.
    return (window.dataset, window.account_sid, window.end) in done
