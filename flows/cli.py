"""The `twilio-warehouse` command: parse, call a flow or a query, print.

Flows, dbt and pandas are imported by the verb that needs them: `--help` and `query` stay quick.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from flows.errors import WarehouseError, WrongUseError

if TYPE_CHECKING:
    from flows.settings import Settings
    from flows.summary import Summary

app = typer.Typer(
    name="twilio-warehouse",
    help="Turn a Twilio account into a warehouse its owner can trust.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


_INTERRUPTED = 130  # typer's own exit code for Ctrl-C


def command() -> NoReturn:
    """The installed command: whatever `main` ends with ends the process."""
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())
        code = 1
    from flows.running import leave

    leave(code)


def main() -> None:
    """Run the command: exit code 0 ok, 1 failed, 2 wrong use."""
    interrupted = "Interrupted. What was read completely is kept; run again to go on."
    try:
        from flows.running import prepare

        prepare()
        app()
    except KeyboardInterrupt:
        _fail(interrupted, 1)
    except SystemExit as end:
        if end.code != _INTERRUPTED:
            raise
        _fail(interrupted, 1)
    except WrongUseError as error:
        _fail(str(error), 2)
    except WarehouseError as error:
        _fail(str(error), 1)
    except Exception as error:
        if not _is_of_the_world(error):
            raise
        _fail(f"{type(error).__name__}: {error}".replace("\n", " "), 1)


def _is_of_the_world(error: Exception) -> bool:
    """Whether an error is about files, texts and times given, not about our code."""
    if isinstance(error, (OSError, UnicodeError, OverflowError)):
        return True
    return type(error).__module__ in ("duckdb", "_duckdb")


def _fail(message: str, code: int) -> None:
    with suppress(OSError):  # who reads it may be gone
        print(f"twilio-warehouse: {message}", file=sys.stderr)
    sys.exit(code)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUseError(
            f"{text!r} is no ISO 8601 time; write for example 2026-11-24T06:00:00Z."
        ) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise WrongUseError(
            f"{option} {text!r} is no date; write for example 2026-11-24."
        ) from None


Now = Annotated[
    str | None,
    typer.Option(metavar="ISO-TIME", help="Run as of this time, for trials and tests."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


@app.command(epilog="Example: twilio-warehouse run")
def run(
    now: Now = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only show what would be asked of Twilio, and why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read what is new and what may have changed, then renew warehouse and reports."""
    instant = _instant(now)
    _require_credentials()
    if plan:
        _show_plan(instant, as_json)
        return
    from flows.running import run_flow

    _show_summary(run_flow("daily", now=instant), as_json)


@app.command(epilog="Example: twilio-warehouse refresh --deep")
def refresh(
    deep: Annotated[
        bool, typer.Option("--deep", help="Read the last weeks whole (WAREHOUSE_DEEP_DAYS).")
    ] = False,
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Read this month whole: its close.")
    ] = None,
    now: Now = None,
    as_json: AsJson = False,
) -> None:
    """Read again what a daily run does not: corrections, redactions and deletions of old days."""
    if deep == (month is not None):
        raise WrongUseError("Say what to read again: either --deep or --month YYYY-MM.")
    instant = _instant(now)
    first = None if month is None else _day(f"{month}-01", "--month")
    _require_credentials()
    from flows.running import run_flow

    if first is None:
        _show_summary(run_flow("deep_refresh", now=instant), as_json)
        return
    from flows.tasks.plan import check_month

    check_month(instant or datetime.now(UTC), first)
    _show_summary(run_flow("month_close", month=first, now=instant), as_json)


@app.command(epilog="Example: twilio-warehouse backfill --since 2026-01-01 --until 2026-07-01")
def backfill(
    since: Annotated[str, typer.Option(metavar="DATE", help="First UTC day.")],
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Day to stop before; today by default.")
    ] = None,
    now: Now = None,
    as_json: AsJson = False,
) -> None:
    """Read history, then renew warehouse and reports. Interrupted, it goes on when run again."""
    first = _day(since, "--since")
    last = None if until is None else _day(until, "--until")
    instant = _instant(now)
    _require_credentials()
    from flows.running import run_flow
    from flows.tasks.plan import check_range

    check_range(instant or datetime.now(UTC), first, last)
    _show_summary(run_flow("backfill", since=first, until=last, now=instant), as_json)


@app.command(epilog="Example: twilio-warehouse rebuild")
def rebuild(as_json: AsJson = False) -> None:
    """Compute warehouse and reports anew from the lake alone; Twilio is asked nothing."""
    from flows.settings import read_settings

    settings = read_settings()
    if not any(settings.lake.glob("*/**/*.parquet")):
        raise WarehouseError(
            f"There is no lake at {settings.lake} yet: run `twilio-warehouse run` first."
        )
    from flows.running import run_flow

    _show_summary(run_flow("rebuild"), as_json)


@app.command(epilog="Example: twilio-warehouse report --language es --output out")
def report(
    output: Annotated[
        Path | None, typer.Option(help="Folder to write to; reports below the data root.")
    ] = None,
    formats: Annotated[
        str, typer.Option(help="Which of csv,parquet,xlsx,html.")
    ] = "csv,parquet,xlsx,html",
    language: Annotated[
        str | None, typer.Option(help="Language of texts: en or es; WAREHOUSE_LANGUAGE by default.")
    ] = None,
    csv_dialect: Annotated[
        str,
        typer.Option(help="plain, or excel-es: semicolons and decimal commas for Spanish Excel."),
    ] = "plain",
    as_json: AsJson = False,
) -> None:
    """Write the reports again from the published warehouse."""
    from flows.settings import read_settings
    from flows.tasks.report import report as export

    wanted = [form.strip() for form in formats.split(",") if form.strip()]
    written = export.fn(read_settings(), output, wanted, language=language, csv_dialect=csv_dialect)
    _show_reports(written, as_json)


@app.command(epilog="Example: twilio-warehouse check")
def check(as_json: AsJson = False) -> None:
    """Say whether credentials, permissions, host and each endpoint work, and what to do if not."""
    from flows.checking import check_twilio
    from flows.settings import read_settings

    outcome = check_twilio(read_settings())
    if as_json:
        _print_json(outcome.as_dict())
    else:
        _print_check(outcome)
    if not outcome.is_good:
        raise typer.Exit(1)


@app.command(epilog="Example: twilio-warehouse monitor --hours 24 --last 10")
def monitor(
    hours: Annotated[
        float, typer.Option(min=0.1, max=24 * 400, help="How many hours back from now.")
    ] = 24,
    last: Annotated[int, typer.Option(min=0, max=1000, help="Newest messages to show.")] = 10,
    now: Now = None,
    as_json: AsJson = False,
) -> None:
    """Show the last hours straight from Twilio: counts, delivery, errors, the last messages."""
    from flows import progress
    from flows.monitor_screen import show_monitor
    from flows.monitoring import monitor_twilio
    from flows.settings import read_settings

    settings = read_settings()
    instant = _instant(now)
    with progress.shown() if sys.stderr.isatty() else nullcontext():
        seen = monitor_twilio(settings, hours, last, instant)
    if as_json:
        _print_json(seen.as_dict())
    else:
        show_monitor(seen, settings)


@app.command(epilog="Example: twilio-warehouse status")
def status(as_json: AsJson = False) -> None:
    """Show freshness, what is settled, gaps and the last runs."""
    from flows.asking import read_status
    from flows.settings import read_settings

    state = read_status(read_settings())
    if as_json:
        _print_json(state)
        return
    for title, rows in state.items():
        _print_table(title.replace("_", " "), rows)


@app.command(epilog="Example: twilio-warehouse alerts --dry-run")
def alerts(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent now; nothing is.")
    ] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Send a word to every place that alerts are sent to.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a person must know; or what would be sent of it, or try where it is sent to."""
    if dry_run and test:
        raise WrongUseError("Choose one: --dry-run sends nothing, --test sends a word.")
    from flows.settings import read_settings

    settings = read_settings()
    if test:
        _try_targets(settings, as_json)
    elif dry_run:
        _show_unsent(settings, as_json)
    else:
        _show_alerts(settings, as_json)


@app.command(epilog="Example: twilio-warehouse message SM0123456789abcdef0123456789abcdef")
def message(
    sid: Annotated[str, typer.Argument(help="The message's SID.")], as_json: AsJson = False
) -> None:
    """Show what was observed of one message, and when."""
    from flows.asking import read_timeline
    from flows.settings import read_settings

    timeline = read_timeline(read_settings(), sid)
    if as_json:
        _print_json(timeline)
    else:
        _print_table(sid, timeline)


@app.command(
    epilog='Example: twilio-warehouse query "from reports.daily_volume limit 5" --format csv'
)
def query(
    sql: Annotated[str, typer.Argument(help="One SQL statement; only reading is possible.")],
    form: Annotated[str, typer.Option("--format", help="table, csv, json or parquet.")] = "table",
) -> None:
    """Ask the published warehouse in SQL."""
    from flows.asking import ask
    from flows.settings import read_settings

    ask(read_settings(), sql, form)


@app.command(epilog="Example: twilio-warehouse demo --messages 20000 --days 35")
def demo(
    messages: Annotated[int, typer.Option(min=1, help="Messages in the simulated world.")] = 20_000,
    days: Annotated[int, typer.Option(min=1, max=390, help="Days they spread over.")] = 35,
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 1,
) -> None:
    """Run the whole path against a simulated Twilio and compare the reports with its truth."""
    from flows.demo import run_demo

    run_demo(messages, days, seed, print_table=_print_table, say=_say)


@app.command(
    epilog="Example: twilio-warehouse simulate --port 8400 --messages 5000",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def simulate(context: typer.Context) -> None:
    """Serve a simulated Twilio on 127.0.0.1 (options: see `simulate --help`)."""
    from simulator.__main__ import main as serve

    serve(context.args)


def _require_credentials() -> None:
    """Fail for a missing setting before anything is started."""
    from flows.settings import read_settings

    read_settings().require_credentials()


def _show_plan(now: datetime | None, as_json: bool) -> None:
    from flows.planning import show_plan
    from flows.settings import read_settings

    rows, notices = show_plan(read_settings(), now)
    if as_json:
        _print_json(rows)
        return
    for notice in notices:
        _say(notice)
    _print_table("plan (UTC)", rows)
    known = sum(row["requests"] or 0 for row in rows)
    unknown = sum(row["requests"] is None for row in rows)
    more = f", and {unknown} windows nobody knows the length of yet" if unknown else ""
    _say(f"Expected: {known:,} requests{more}.")


def _show_summary(summary: Summary, as_json: bool) -> None:
    if as_json:
        _print_json(
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
        _say(notice)
    if summary.window_count:
        _say(
            f"Read {summary.record_count:,} records in {summary.page_count:,} pages of "
            f"{summary.window_count:,} windows"
            + (f", {summary.reject_count:,} rejected" if summary.reject_count else "")
            + "."
        )
    _show_reports(summary.reports, as_json=False)


def _show_reports(reports: Any, as_json: bool) -> None:
    if as_json:
        _print_json(_reports_as_json(reports))
        return
    for written in reports:
        _say(f"{written.name}: {written.row_count:,} rows")
        for path in written.paths:
            _say(f"  {os.path.relpath(path)}")


def _reports_as_json(reports: Any) -> list[dict[str, Any]]:
    return [
        {"name": r.name, "rows": r.row_count, "paths": [str(path) for path in r.paths]}
        for r in reports
    ]


def _show_alerts(settings: Settings, as_json: bool) -> None:
    from flows.asking import read_alerts

    lasting = read_alerts(settings)
    if as_json:
        _print_json(lasting)
        return
    for row in lasting:
        _say(f"{row['since']:%Y-%m-%d %H:%M}  {row['alert']}  {row['message']}")
    if not lasting:
        _say("Nothing: all is as usual.")


def _show_unsent(settings: Settings, as_json: bool) -> None:
    from flows.tasks.alert import preview

    unsent = preview(settings, datetime.now(UTC))
    if as_json:
        _print_json(unsent and {"title": unsent[0], "text": unsent[1]})
    else:
        _say("\n\n".join(unsent) if unsent else "Nothing would be sent.")


def _try_targets(settings: Settings, as_json: bool) -> None:
    from flows.notifying import send_test

    tried = send_test(settings)
    if not tried:
        raise WrongUseError(
            "Alerts are sent nowhere: set WAREHOUSE_ALERT_URLS or WAREHOUSE_ALERT_BLOCKS "
            "(docs/runbook.md)."
        )
    if as_json:
        _print_json([{"target": name, "problem": problem} for name, problem in tried])
    else:
        for name, problem in tried:
            _say(f"FAIL {name}: {problem}" if problem else f"ok   {name}")
    if any(problem for _, problem in tried):
        raise typer.Exit(1)


def _print_check(outcome: Any) -> None:
    for step in outcome.steps:
        _say(f"{'ok  ' if step.is_good else 'FAIL'} {step.name}: {step.detail}")
    if outcome.last_messages:
        _print_table("last messages", outcome.last_messages)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def _say(text: str) -> None:
    print(text)


def _print_table(title: str, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        _say(f"{title}: nothing")
        return
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
    for name in rows[0]:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(_short(value) for value in row.values()))
    # Wider than an 80-column pipe: a table that is cut in every cell says nothing.
    console = Console()
    Console(width=max(console.width, 120) if not console.is_terminal else None).print(table)


def _short(value: Any) -> str:
    """A cell: an account's identifier is told apart by its last characters."""
    text = "" if value is None else str(value)
    is_account = len(text) == 34 and text.startswith("AC")
    return f"AC…{text[-4:]}" if is_account else text


if __name__ == "__main__":
    main()
