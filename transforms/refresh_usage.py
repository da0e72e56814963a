"""What to ask of usage: whole months, as long as Twilio may correct them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from transforms.ages import earliest_readable
from transforms.knowledge import of_daily_runs, read_badly, read_well, spans_of
from transforms.windows import (
    Planned,
    Window,
    first_of_month,
    first_of_next_month,
    midnight,
    split_months,
    subtract_spans,
)

# A day may be corrected for three days after its end.
_SETTLES_AFTER = timedelta(days=4)
_GIVEN_UP_AFTER = timedelta(days=100)


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
    mine = ledger.filter(pc.equal(ledger["account_sid"], account_sid))
    read, failed = read_well(mine, "usage_records"), read_badly(mine, "usage_records")
    first: datetime | None = pc.min(of_daily_runs(mine, "usage_records")["window_start"]).as_py()
    begin = first or midnight((now - timedelta(days=initial_days)).date())
    # Accounts without usage are answered with 404 for ever: what is long past is asked for once.
    recent = first_of_month(now - _GIVEN_UP_AFTER)
    spans = split_months(max(begin, earliest_readable(now)), now)
    wanted = {first_of_month(start) for start, _ in spans}
    failed_months = {
        first_of_month(start)
        for span in subtract_spans(spans_of(failed), spans_of(read))
        for start, _ in split_months(*span)
    }
    wanted = (wanted - failed_months) | {
        month for month in wanted | failed_months if month >= recent
    }
    settled = {
        first_of_month(row["window_start"])
        for row in read.to_pylist()
        if row["window_start"] == first_of_month(row["window_start"])
        and row["window_end"] >= first_of_next_month(row["window_start"])
        and row["read_at"] >= first_of_next_month(row["window_start"]) + _SETTLES_AFTER
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
