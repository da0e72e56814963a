"""What a monitoring system scrapes: one text file in Prometheus' format, replaced after each run.

It says when each flow last finished and failed, what it read, and how fresh each account is; all
of it from the records of runs in the lake and the published warehouse, so that it can be written
again at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from flows.settings import Settings

_READ_AT_MOST = 1000  # records of runs, the newest; a year of days and weeks
_COUNTED = ("messages", "message_changes", "usage_records", "rejects")


@dataclass
class _Metric:
    name: str
    meaning: str
    kind: str = "gauge"
    samples: list[tuple[dict[str, str], float]] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        self.samples.append((labels, value))

    def lines(self) -> Iterator[str]:
        if self.samples:
            yield f"# HELP {self.name} {self.meaning}"
            yield f"# TYPE {self.name} {self.kind}"
        for labels, value in self.samples:
            told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
            yield f"{self.name}{{{told}}} {value:.15g}" if told else f"{self.name} {value:.15g}"


def write_metrics(settings: Settings) -> Path:
    """Replace `<data root>/metrics.prom`; returns its path.

    The file holds no secret, number or message, and may be read by every user who can reach it:
    the one that scrapes is seldom the one that runs.
    """
    path = settings.metrics
    metrics = [*_of_runs(settings.lake / "runs"), *_of_warehouse(settings)]
    text = "\n".join(line for metric in metrics for line in metric.lines())
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(f"{text}\n", encoding="utf-8")
    temporary.chmod(0o644)
    temporary.replace(path)
    return path


def _of_runs(folder: Path) -> Iterable[_Metric]:
    ended = _Metric(
        "twilio_warehouse_last_run_timestamp_seconds", "End of the last run that ended."
    )
    good = _Metric(
        "twilio_warehouse_last_success_timestamp_seconds",
        "End of the last run that read everything it asked for.",
    )
    failed_at = _Metric("twilio_warehouse_last_failure_timestamp_seconds", "The last failure.")
    failures = _Metric("twilio_warehouse_failures_total", "Runs that failed so far.", "counter")
    seconds = _Metric("twilio_warehouse_run_seconds", "How long the last run took.")
    requests = _Metric("twilio_warehouse_run_requests", "Pages the last run asked Twilio for.")
    records = _Metric("twilio_warehouse_run_records", "Records the last run read.")
    rejects = _Metric("twilio_warehouse_run_rejects", "Records the last run could not understand.")
    windows = _Metric("twilio_warehouse_run_windows", "Windows of the last run by their outcome.")

    last_good: set[str] = set()
    last: set[str] = set()
    for run in _newest(folder):
        flow = run.get("flow")
        if not flow:
            continue  # written by an earlier version
        if not run.get("failed") and flow not in last_good:
            last_good.add(flow)
            good.add(_instant(run["ended_at"]), flow=flow)
        if flow in last:
            continue
        last.add(flow)
        ended.add(_instant(run["ended_at"]), flow=flow)
        seconds.add(run["seconds"], flow=flow)
        requests.add(run["page_count"], flow=flow)
        records.add(run["record_count"], flow=flow)
        rejects.add(run["reject_count"], flow=flow)
        for outcome, count in sorted(run["outcomes"].items()):
            windows.add(count, flow=flow, outcome=outcome)

    counts: dict[str, int] = {}
    for record in _newest(folder / "failed"):
        flow = record["flow"]
        if flow not in counts:
            failed_at.add(_instant(record["failed_at"]), flow=flow)
        counts[flow] = counts.get(flow, 0) + 1
    for flow, count in sorted(counts.items()):
        failures.add(count, flow=flow)
    return ended, good, failed_at, failures, seconds, requests, records, rejects, windows


def _of_warehouse(settings: Settings) -> Iterable[_Metric]:
    published = _Metric(
        "twilio_warehouse_published_timestamp_seconds", "When the warehouse was published."
    )
    fresh = _Metric(
        "twilio_warehouse_read_timestamp_seconds",
        "When an account's data was last read whole, by data set.",
    )
    rows = _Metric("twilio_warehouse_rows", "Rows of the lake's tables.")
    try:
        with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
            published.add(settings.warehouse.stat().st_mtime)
            for account, dataset, read_at in connection.execute(
                "select account_sid, dataset, epoch(max(read_at)) from lake.extractions "
                "where outcome in ('ok', 'empty') group by all order by all"
            ).fetchall():
                fresh.add(read_at, account_sid=account, dataset=dataset)
            for table in _COUNTED:
                ((count,),) = connection.execute(f"select count(*) from lake.{table}").fetchall()
                rows.add(count, table=table)
    except (duckdb.Error, OSError):
        return ()  # nothing is published yet: there is nothing to say of it
    return published, fresh, rows


def _newest(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of a folder, newest first; what cannot be read is left out."""
    paths = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in paths[:_READ_AT_MOST]:
        try:
            yield json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue


def _instant(text: str) -> float:
    instant = datetime.fromisoformat(text)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
