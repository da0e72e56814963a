"""What to ask Twilio for now: pure decisions from the clock and what was read before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from transforms.windows import (
    Window,
    first_of_month,
    midnight,
    split_days,
    split_months,
)

# Twilio keeps messages for 400 days and refuses a window that begins before
# (code 20004; support article 223181008).
RETENTION = timedelta(days=399)
# A message is settled at the age of 7 days; a window of whole days re-read until the 8th day
# has been read at that age whatever the hour of the run.
LOOK_BACK = timedelta(days=8)


def earliest_readable(now: datetime) -> datetime:
    """The first instant that Twilio still answers for."""
    return midnight((now - RETENTION).date())


@dataclass(frozen=True)
class Coverage:
    """The newest unbroken stretch of time that was read well, UTC."""

    start: datetime
    end: datetime


def start_of_daily(now: datetime, coverage: Coverage | None, initial_days: int) -> datetime:
    """Where a daily run begins to read: `coverage` is what was read before, None for nothing."""
    if coverage is None:
        start = midnight((now - timedelta(days=initial_days)).date())
    else:
        look_back = midnight((min(coverage.end, now) - LOOK_BACK).date())
        start = max(look_back, coverage.start)
    return max(start, earliest_readable(now))


def newest_coverage(ledger: pa.Table, account_sid: str) -> Coverage | None:
    """What was read of an account's messages without a gap until the newest window's end."""
    windows = _read_well(ledger)
    windows = windows.filter(pc.equal(windows["account_sid"], account_sid))
    coverage: Coverage | None = None
    for start, end in sorted(
        zip(windows["window_start"].to_pylist(), windows["window_end"].to_pylist(), strict=True)
    ):
        if coverage is None or start > coverage.end:
            coverage = Coverage(start, end)
        else:
            coverage = Coverage(coverage.start, max(coverage.end, end))
    return coverage


def unread_windows(ledger: pa.Table) -> list[Window]:
    """The message windows that could not be read and were not read since."""
    windows = ledger.filter(pc.equal(ledger["dataset"], "messages"))
    failed = windows.filter(pc.is_in(windows["outcome"], value_set=pa.array(["failed", "denied"])))
    read = [
        (row["account_sid"], row["window_start"], row["window_end"])
        for row in _read_well(ledger).to_pylist()
    ] if failed.num_rows else []  # fmt: skip
    missed = {
        Window("messages", row["account_sid"], row["window_start"], row["window_end"])
        for row in failed.to_pylist()
    }
    return sorted(
        window
        for window in missed
        if not any(
            account_sid == window.account_sid and start <= window.start and window.end <= end
            for account_sid, start, end in read
        )
    )


def _read_well(ledger: pa.Table) -> pa.Table:
    is_read = pc.is_in(ledger["outcome"], value_set=pa.array(["ok", "empty"]))
    return ledger.filter(pc.and_(is_read, pc.equal(ledger["dataset"], "messages")))


def plan_messages(
    accounts: Sequence[str], starts: Mapping[str, datetime], end: datetime
) -> list[Window]:
    """Message windows of UTC days, newest first, accounts in turn so that none waits."""
    windows = [
        Window("messages", account_sid, start, until)
        for account_sid in accounts
        for start, until in split_days(starts[account_sid], end)
    ]
    return sorted(windows, key=lambda window: (window.start, window.account_sid), reverse=True)


def plan_unsent(
    accounts: Sequence[str], starts: Mapping[str, datetime], end: datetime
) -> list[Window]:
    """One window an account for the scan that finds messages without date_sent."""
    return [
        Window("unsent_messages", account_sid, starts[account_sid], end)
        for account_sid in accounts
        if starts[account_sid] < end
    ]


def plan_usage(
    accounts: Sequence[str], starts: Mapping[str, datetime], end: datetime, now: datetime
) -> list[Window]:
    """Usage windows of at most a month, from the first day of the earliest month touched.

    Longer ranges make Twilio fail (github.com/airbytehq/airbyte/issues/23512).
    """
    return [
        Window("usage_records", account_sid, start, until)
        for account_sid in accounts
        for start, until in split_months(
            max(first_of_month(starts[account_sid]), earliest_readable(now)), end
        )
    ]


def plan_triggers(accounts: Sequence[str], now: datetime) -> list[Window]:
    """One reading of the usage triggers an account."""
    return [Window("usage_triggers", account_sid, now, now) for account_sid in accounts]
