"""What a daily run would ask Twilio for now, without asking."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flows.run import start_run
from flows.settings import Settings
from flows.tasks.extract import extract_accounts
from flows.tasks.plan import plan_daily


def read_plan(settings: Settings, now: datetime | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The windows of a daily run, and what its operator should know.

    Twilio is asked for the accounts only; nothing is written. `requests` is what a window is
    expected to take, None where nobody can know.

    Raises:
        TwilioError: the accounts cannot be read.
    """
    run = start_run(settings, now, name="plan")
    accounts = extract_accounts.fn(run)
    rows = [
        {
            "account_sid": entry.window.account_sid,
            "dataset": entry.window.dataset,
            "from": f"{entry.window.start:%Y-%m-%d %H:%M}",
            "until": f"{entry.window.end:%Y-%m-%d %H:%M}",
            "requests": entry.requests,
            "reason": entry.reason,
        }
        for entry in plan_daily.fn(run, accounts)
    ]
    return rows, run.notices
