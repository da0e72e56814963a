"""What the command prints: sentences and tables for a person, or JSON for a program."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.checking import Check
    from flows.summary import Summary
    from flows.tasks.report import Report

Rows = Sequence[Mapping[str, Any]]

PIPE_WIDTH = 140  # characters where no terminal says how wide it is: cut to 80 a table says nothing


def show_plan(rows: Rows, notices: Sequence[str], as_json: bool) -> None:
    """The windows of a daily run, and how many requests they are expected to take."""
    if as_json:
        show_json(rows)
        return
    for notice in notices:
        say(notice)
    show_table("plan (UTC)", rows)
    known = sum(row["requests"] or 0 for row in rows)
    unknown = sum(row["requests"] is None for row in rows)
    more = f", and {unknown} windows nobody knows the length of yet" if unknown else ""
    say(f"Expected: {known:,} requests{more}.")


def show_summary(summary: Summary, as_json: bool) -> None:
    """What a run read and wrote."""
    if as_json:
        show_json(
            {
                "run_id": summary.run_id,
                "windows": summary.window_count,
                "pages": summary.page_count,
                "records": summary.record_count,
                "rejects": summary.reject_count,
                "outcomes": summary.outcomes,
                "notices": list(summary.notices),
                "reports": _reports_as_json(summary.reports),
            }
        )
        return
    for notice in summary.notices:
        say(notice)
    if summary.window_count:
        rejected = f", {summary.reject_count:,} rejected" if summary.reject_count else ""
        say(
            f"Read {summary.record_count:,} records in {summary.page_count:,} pages of "
            f"{summary.window_count:,} windows{rejected}."
        )
    show_reports(summary.reports, as_json=False)


def show_reports(reports: Sequence[Report], as_json: bool) -> None:
    """The reports written and their files."""
    if as_json:
        show_json(_reports_as_json(reports))
        return
    for written in reports:
        say(f"{written.name}: {written.row_count:,} rows")
        for path in written.paths:
            say(f"  {os.path.relpath(path)}")


def _reports_as_json(reports: Sequence[Report]) -> list[dict[str, Any]]:
    return [
        {"name": r.name, "rows": r.row_count, "paths": [str(path) for path in r.paths]}
        for r in reports
    ]


def show_alerts(lasting: Rows, as_json: bool) -> None:
    """The alerts that last, each with its beginning."""
    if as_json:
        show_json(lasting)
        return
    for row in lasting:
        say(f"{row['since']:%Y-%m-%d %H:%M}  {row['alert']}  {row['message']}")
    if not lasting:
        say("Nothing: all is as usual.")


def show_unsent(unsent: tuple[str, str] | None, as_json: bool) -> None:
    """Title and text of what would be sent; None: nothing would."""
    if as_json:
        show_json(unsent and {"title": unsent[0], "text": unsent[1]})
    else:
        say("\n\n".join(unsent) if unsent else "Nothing would be sent.")


def show_targets(tried: Sequence[tuple[str, str | None]], as_json: bool) -> None:
    """To which places alerts could be sent, and what was wrong with the others."""
    if as_json:
        show_json([{"target": name, "problem": problem} for name, problem in tried])
        return
    for name, problem in tried:
        say(f"FAIL {name}: {problem}" if problem else f"ok   {name}")


def show_check(check: Check, as_json: bool) -> None:
    """What was tried of Twilio, and the last messages."""
    if as_json:
        show_json(check.as_dict())
        return
    for step in check.steps:
        say(f"{'ok  ' if step.is_good else 'FAIL'} {step.name}: {step.detail}")
    if check.last_messages:
        show_table("last messages", check.last_messages)


def show_status(state: Mapping[str, Rows], as_json: bool) -> None:
    """Tables by their names."""
    if as_json:
        show_json(state)
        return
    for name, rows in state.items():
        show_table(name.replace("_", " "), rows)


def show_timeline(sid: str, timeline: Rows, as_json: bool) -> None:
    """What was observed of a message."""
    if as_json:
        show_json(timeline)
    else:
        show_table(sid, timeline)


def show_json(value: Any) -> None:
    """A value as JSON, times and amounts as text."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def say(text: str) -> None:
    """A sentence."""
    print(text)


def show_table(title: str, rows: Rows) -> None:
    """Rows under their names, cut where the terminal ends."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        say(f"{title}: nothing")
        return
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
    for name in rows[0]:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(shortened("" if value is None else str(value)) for value in row.values()))
    console = Console()
    width = None if console.is_terminal else max(console.width, PIPE_WIDTH)
    Console(width=width).print(table)


def shortened(value: str) -> str:
    """An account is told apart by the last characters of its identifier; all else is itself."""
    return f"AC…{value[-4:]}" if len(value) == 34 and value.startswith("AC") else value
