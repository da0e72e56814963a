"""What a run shows its operator: a log, artifacts in Prefect, a file for who scrapes.

None of it may make a run fail that has read and published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from flows.errors import WarehouseError
from flows.metrics import write_metrics
from flows.orchestration import is_run_of_prefect, logger
from flows.settings import Settings
from flows.warehouse import open_published

_KPIS = """
    with newest as (
        select period, kpi, max(period_start) as period_start
        from reports.kpis
        where account_sid like 'all%' and value is not null
        group by period, kpi
    )
    select
        period, period_start, account_sid, kpi, value, comparison, goal, is_met, is_settled
    from reports.kpis
    inner join newest using (period, kpi, period_start)
    where account_sid like 'all%'
    order by period, kpi, account_sid
"""


def observe(settings: Settings, summary: Mapping[str, Any], reports: Iterable[Any]) -> None:
    """Tell what a run came to: `summary` is the record of it that is kept in the lake."""
    log = logger()
    for notice in summary["notices"]:
        log.warning("%s", notice)
    for failure in summary["failed"]:
        log.error("%s", failure)
    log.info("%s", _sentence(summary))
    try:
        write_metrics(settings)
        if is_run_of_prefect():
            _leave_artifacts(settings, summary, reports)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run itself was good
        log.warning("The run is good, but not all of it is shown: %s", error)


def _sentence(summary: Mapping[str, Any]) -> str:
    return (
        f"{summary['run_id']}: {summary['record_count']:,} records in {summary['page_count']:,} "
        f"pages of {summary['window_count']:,} windows, {summary['reject_count']:,} rejected, "
        f"{summary['seconds']:.0f} s."
    )


def _leave_artifacts(
    settings: Settings, summary: Mapping[str, Any], reports: Iterable[Any]
) -> None:
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    create_markdown_artifact(
        key="run-summary", markdown=_in_markdown(summary), description="What the run read."
    )
    kpis = _kpis(settings)
    if kpis:
        create_table_artifact(
            key="kpis", table=kpis, description="Newest value of each KPI, all accounts together."
        )
    create_markdown_artifact(
        key="reports", markdown=_links(reports), description="Where the reports are."
    )


def _in_markdown(summary: Mapping[str, Any]) -> str:
    facts = {
        "as of": summary["now"],
        "windows": f"{summary['window_count']:,}",
        "pages": f"{summary['page_count']:,}",
        "records": f"{summary['record_count']:,}",
        "rejected": f"{summary['reject_count']:,}",
        "seconds": f"{summary['seconds']:.0f}",
        **{f"windows {outcome}": f"{n:,}" for outcome, n in sorted(summary["outcomes"].items())},
    }
    lines = [f"# {summary['run_id']}", "", "| | |", "|---|--:|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    for title, sentences in (("Not read", summary["failed"]), ("Notices", summary["notices"])):
        if sentences:
            lines += ["", f"## {title}", "", *(f"- {sentence}" for sentence in sentences)]
    return "\n".join(lines)


def _kpis(settings: Settings) -> list[dict[str, Any]]:
    try:
        with open_published(settings) as connection:
            result = connection.execute(_KPIS)
            names = [column[0] for column in result.description or []]
            rows = result.fetchall()
    except (WarehouseError, duckdb.CatalogException):
        return []  # published by a version without KPIs
    return [{name: _plain(value) for name, value in zip(names, row, strict=True)} for row in rows]


def _plain(value: Any) -> Any:
    """A value as JSON has it; rates to four digits, as a table is read by people."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return round(value, 4) if isinstance(value, float) else str(value)


def _links(reports: Iterable[Any]) -> str:
    lines = ["| report | rows | files |", "|---|--:|---|"]
    for report in reports:
        files = " ".join(f"[{Path(p).suffix[1:]}]({Path(p).as_uri()})" for p in report.paths)
        lines.append(f"| {report.name} | {report.row_count:,} | {files} |")
    return "\n".join(lines)
