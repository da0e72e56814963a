"""The demonstration: a simulated Twilio, the whole path, and proof against its truth."""

from __future__ import annotations

import csv
import math
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from flows.errors import WarehouseError
from flows.settings import Settings, read_settings
from flows.showing import say, show_table

_SHOWN_ROWS = 5
# Of each report what fits a terminal: the last days and hours, the newest month.
_SHOWN_COLUMNS = {
    "daily_volume": "message_date account_sid channel direction message_count delivered_count "
    "failed_count message_cost is_settled",
    "hourly_delivery_rate": "message_hour account_sid channel attempted_count delivered_count "
    "delivery_rate is_settled",
    "monthly_cost": "month account_sid cost_category usage_quantity usage_unit cost currency "
    "is_settled",
    "errors_by_code": "message_date account_sid channel error_code message_count "
    "share_of_attempted title",
    "kpis": "period_start period account_sid kpi value goal comparison is_met is_settled",
    "cost_reconciliation": "month account_sid totalprice_cost message_usage_cost "
    "message_price_cost difference unpriced_count",
    "completeness": "usage_date account_sid channel_group message_count usage_count state",
    "top_recipients": "month account_sid recipient_rank recipient country message_count "
    "delivered_count message_cost",
}


def run_demo(messages: int, days: int, seed: int) -> None:
    """Run the daily flow from an empty lake against the simulator and compare every report.

    Raises:
        WarehouseError: a report differs from the simulator's truth.
    """
    from simulator.process import running
    from simulator.truth import expected_reports
    from simulator.world import World, WorldConfig

    root = read_settings().root / "demo"
    shutil.rmtree(root, ignore_errors=True)
    now = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0)
    config = WorldConfig(messages=messages, days=days, seed=seed, until=now)
    say(f"A simulated Twilio account: {messages:,} messages over {days} days.")
    with running(config) as server:
        _use(server, root, days)
        from flows.running import run_flow

        summary = run_flow("daily", now=now)
        settings = read_settings()
    say(f"Read {summary.record_count:,} records in {summary.page_count:,} pages.")
    read_since = datetime.combine((now - timedelta(days=days)).date(), datetime.min.time(), UTC)
    truth = expected_reports(
        World(config), now=now, timezone=settings.timezone, read_since=read_since
    )
    differences = []
    for name, rows in truth.items():
        written = read_csv(settings.reports / f"{name}.csv")
        show_table(f"{name}: {len(written):,} rows", _extract_of(name, written))
        difference = first_difference(name, written, rows)
        if difference:
            differences.append(difference)
    for report in summary.reports:
        say("  ".join(os.path.relpath(path) for path in report.paths))
    say(os.path.relpath(settings.warehouse))
    if differences:
        raise WarehouseError("The reports differ from the truth. " + "; ".join(differences))
    say(f"All {len(truth)} reports equal the simulator's truth, cell by cell.")


def _extract_of(name: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """A few rows and columns to look at."""
    if name == "top_recipients":  # ranked: the newest month's first
        newest = max((row["month"] for row in rows), default="")
        shown = [row for row in rows if row["month"] == newest][:_SHOWN_ROWS]
    else:
        shown = rows[-_SHOWN_ROWS:]
    columns = _SHOWN_COLUMNS[name].split()
    return [{column: row[column] for column in columns} for row in shown]


def read_csv(path: Path) -> list[dict[str, str]]:
    """A report's rows, every cell as text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def first_difference(
    name: str, written: list[dict[str, str]], expected: list[dict[str, Any]]
) -> str | None:
    """The first cell in which a written report is not as expected, in words; None if all are."""
    if len(written) != len(expected):
        return f"{name}: {len(written)} rows instead of {len(expected)}"
    wanted = sorted(expected, key=lambda row: [_cell(value) for value in row.values()])
    found = sorted(written, key=lambda row: list(row.values()))
    for number, (row, want) in enumerate(zip(found, wanted, strict=True), start=1):
        for column, value in want.items():
            if not _is_same(row.get(column), value):
                return (
                    f"{name} row {number} {column}: {row.get(column)!r} instead of {_cell(value)!r}"
                )
    return None


def _cell(value: Any) -> str:
    """A value as DuckDB writes it into a CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _is_same(found: str | None, wanted: Any) -> bool:
    """Whether a cell is what was wanted: exactly, save for doubles."""
    if found is None or found == _cell(wanted):
        return found is not None
    try:
        if isinstance(wanted, Decimal):  # 0.5 is 0.500000
            return Decimal(found) == wanted
        # Doubles may be written with another number of digits, averages rounded otherwise.
        return isinstance(wanted, float) and math.isclose(float(found), wanted, rel_tol=1e-6)
    except (ValueError, InvalidOperation):
        return False


def _use(server: Any, root: Path, days: int) -> None:
    """Point the settings at the simulator, whatever the environment says."""
    for name in [name for name in os.environ if name.startswith(("TWILIO_", "WAREHOUSE_"))]:
        if name not in ("WAREHOUSE_TIMEZONE", "WAREHOUSE_LANGUAGE", "WAREHOUSE_CONCURRENCY"):
            del os.environ[name]
    # Nor an .env file: what happens in a simulated account is to be told to nobody.
    Settings.model_config["env_file"] = None
    os.environ.update(
        TWILIO_ACCOUNT_SID=server.account_sid,
        TWILIO_AUTH_TOKEN=server.auth_token,
        TWILIO_API_BASE_URL=server.url,
        WAREHOUSE_DATA_ROOT=str(root),
        WAREHOUSE_INITIAL_DAYS=str(days),
    )
