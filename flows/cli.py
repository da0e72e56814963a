"""The `twilio-warehouse` command: parse, call a flow or a query, print.

Flows, dbt and pandas are imported by the verb that needs them: `--help` and `query` stay quick.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from flows.errors import WarehouseError, WrongUseError
from flows.showing import (
    show_alerts,
    show_check,
    show_json,
    show_plan,
    show_reports,
    show_status,
    show_summary,
    show_targets,
    show_timeline,
    show_unsent,
)

if TYPE_CHECKING:
    from flows.settings import Settings

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
    try:
        from flows.running import prepare

        prepare()
        app()
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != _INTERRUPTED:
            raise
        _fail("Interrupted. What was read completely is kept; run again to go on.", 1)
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
        from flows.planning import read_plan
        from flows.settings import read_settings

        show_plan(*read_plan(read_settings(), instant), as_json)
        return
    from flows.running import run_flow

    show_summary(run_flow("daily", now=instant), as_json)


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
        show_summary(run_flow("deep_refresh", now=instant), as_json)
        return
    from flows.tasks.plan import check_month

    check_month(instant or datetime.now(UTC), first)
    show_summary(run_flow("month_close", month=first, now=instant), as_json)


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
    show_summary(run_flow("backfill", since=first, until=last, now=instant), as_json)


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

    show_summary(run_flow("rebuild"), as_json)


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
    show_reports(written, as_json)


@app.command(epilog="Example: twilio-warehouse check")
def check(as_json: AsJson = False) -> None:
    """Say whether credentials, permissions, host and each endpoint work, and what to do if not."""
    from flows.checking import check_twilio
    from flows.settings import read_settings

    outcome = check_twilio(read_settings())
    show_check(outcome, as_json)
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
        show_json(seen.as_dict())
    else:
        show_monitor(seen, settings)


@app.command(epilog="Example: twilio-warehouse status")
def status(as_json: AsJson = False) -> None:
    """Show freshness, what is settled, gaps and the last runs."""
    from flows.asking import read_status
    from flows.settings import read_settings

    show_status(read_status(read_settings()), as_json)


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
        _test_targets(settings, as_json)
    elif dry_run:
        from flows.tasks.alert import preview

        show_unsent(preview(settings, datetime.now(UTC)), as_json)
    else:
        from flows.asking import read_alerts

        show_alerts(read_alerts(settings), as_json)


@app.command(epilog="Example: twilio-warehouse message SM0123456789abcdef0123456789abcdef")
def message(
    sid: Annotated[str, typer.Argument(help="The message's SID.")], as_json: AsJson = False
) -> None:
    """Show what was observed of one message, and when."""
    from flows.asking import read_timeline
    from flows.settings import read_settings

    show_timeline(sid, read_timeline(read_settings(), sid), as_json)


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

    run_demo(messages, days, seed)


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


def _test_targets(settings: Settings, as_json: bool) -> None:
    from flows.notifying import send_test

    tried = send_test(settings)
    if not tried:
        raise WrongUseError(
            "Alerts are sent nowhere: set WAREHOUSE_ALERT_URLS or WAREHOUSE_ALERT_BLOCKS "
            "(docs/runbook.md)."
        )
    show_targets(tried, as_json)
    if any(problem for _, problem in tried):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
