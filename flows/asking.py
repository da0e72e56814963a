"""Questions to the published warehouse; nothing here imports Prefect, dbt or pandas."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from flows.errors import WarehouseError, WrongUseError
from flows.settings import Settings
from flows.warehouse import open_published

_COPY_OPTIONS = {
    "csv": "format csv, header",
    "json": "format json, array true",
    "parquet": "format parquet, compression zstd",
}
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


def ask(settings: Settings, sql: str, form: str) -> None:
    """Print the result of one statement that only reads.

    Raises:
        WrongUseError: the format is unknown, it is not one reading statement, or DuckDB refuses it.
        WarehouseError: nothing has been published yet.
    """
    if form not in ("table", *_COPY_OPTIONS):
        raise WrongUseError(f"Unknown format {form!r}: choose table, csv, json or parquet.")
    with open_published(settings) as connection, tempfile.TemporaryDirectory() as folder:
        # The statement may read the lake's files behind the views, and no other.
        allowed = ", ".join(f"'{_quoted(path)}/'" for path in (settings.versions, folder))
        connection.execute(f"set allowed_directories = [{allowed}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        try:
            statement = _only_statement(connection, sql)
            if form == "table":
                _print_table(connection, statement)
                return
            result = Path(folder, "result")
            connection.execute(f"copy ({statement}\n) to '{result}' ({_COPY_OPTIONS[form]})")
        except duckdb.Error as error:
            raise WrongUseError(f"DuckDB refused the statement. {error}") from None
        with result.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()


def _only_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The text of a statement that is alone and changes nothing, without its semicolon.

    COPY, EXPORT and the like may write wherever reading is allowed: nothing but a query passes.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in _READING:
        raise WrongUseError(
            "DuckDB refused the statement. Ask one question: SELECT, FROM, WITH, DESCRIBE, "
            "SUMMARIZE, SHOW or EXPLAIN."
        )
    return str(statements[0].query).strip().rstrip(";")


def read_status(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Freshness, coverage, gaps and the last runs, from the published warehouse."""
    with open_published(settings) as connection:
        return {
            title: [
                dict(zip(names, row, strict=True))
                for row in rows
            ]
            for title, (names, rows) in (
                (title, _fetch(connection, sql)) for title, sql in _STATUS.items()
            )
        }  # fmt: skip


def read_alerts(settings: Settings) -> list[dict[str, Any]]:
    """What a person must know, as of the last run; what began last comes first.

    Raises:
        WarehouseError: nothing has been published yet, or by a version that had no alerts.
    """
    with open_published(settings) as connection:
        try:
            names, rows = _fetch(
                connection, "from alerts.open_alerts order by since desc, alert, account_sid"
            )
        except duckdb.CatalogException:
            raise WarehouseError(
                "The warehouse was published by an earlier version and has no alerts: run "
                "`twilio-warehouse rebuild` first."
            ) from None
    return [dict(zip(names, row, strict=True)) for row in rows]


def read_timeline(settings: Settings, message_sid: str) -> list[dict[str, Any]]:
    """What was observed of one message, oldest first: when it was made, sent, first seen, each
    change of a field.

    Raises:
        WrongUseError: the warehouse has no such message.
        WarehouseError: nothing has been published yet.
    """
    with open_published(settings) as connection:
        names, rows = _fetch(connection, _TIMELINE, [message_sid])
        if not rows:
            raise WrongUseError(
                f"There is no message {message_sid} in the warehouse. A SID is SM or MM and 32 "
                "hexadecimal digits; a message is there once a run has read its day."
            )
        return [dict(zip(names, row, strict=True)) for row in rows]


_TIMELINE = """
    with message as (
        select * from lake.messages where message_sid = $1
    ),
    changes as (
        select * from lake.message_changes where message_sid = $1
    ),
    -- What was seen first is the old value of the first change, else what is held now.
    firsts as (
        select field, first(old_value order by observed_at) as value from changes group by field
    ),
    events as (
        select created_at as happened_at, 0 as turn, 'created' as event, null as old,
            direction as new
        from message
        union all
        select sent_at, 1, 'sent', null, null from message where sent_at is not null
        union all
        select first_seen_at, 2, 'first seen: status', null,
            coalesce((select value from firsts where field = 'status'), status)
        from message
        union all
        select first_seen_at, 3, 'first seen: price', null,
            case when exists (select 1 from firsts where field = 'price')
                then (select value from firsts where field = 'price')
                else price::varchar
            end
        from message
        union all
        select observed_at, 4, field, old_value, new_value from changes
        union all
        select updated_at, 5, 'last changed, says Twilio', null, status from message
    )
    select happened_at, event, old, new
    from events
    where happened_at is not null
    order by happened_at, turn, event
"""

_STATUS = {
    "accounts": """
        select
            extractions.account_sid,
            any_value(accounts.name) as name,
            max(read_at) filter (where dataset = 'messages' and outcome in ('ok', 'empty'))
                as messages_read_at,
            min(window_start) filter (where dataset = 'messages' and outcome in ('ok', 'empty'))
                as read_since,
            max(window_end) filter (where dataset = 'messages' and outcome in ('ok', 'empty'))
                as read_until,
            max(read_at) filter (where dataset = 'usage_records' and outcome in ('ok', 'empty'))
                as usage_read_at
        from lake.extractions
        left join lake.accounts using (account_sid)
        group by extractions.account_sid
        order by extractions.account_sid
    """,
    "settled": """
        select
            account_sid,
            max(message_date) filter (where is_settled) as newest_settled_day,
            count(distinct message_date) filter (where not is_settled) as unsettled_days,
            sum(message_count) as messages,
            sum(unpriced_count) as unpriced
        from reports.daily_volume
        group by account_sid
        order by account_sid
    """,
    "not_read": """
        select failed.account_sid, failed.dataset, failed.window_start, failed.window_end,
            failed.outcome, any_value(failed.detail) as detail
        from lake.extractions as failed
        where failed.outcome not in ('ok', 'empty', 'retention')
            and not exists (
                select 1 from lake.extractions as later
                where later.outcome in ('ok', 'empty')
                    and later.dataset = failed.dataset
                    and later.account_sid = failed.account_sid
                    and (
                        (later.window_start <= failed.window_start
                            and later.window_end >= failed.window_end)
                        or later.dataset = 'usage_triggers'
                    )
                    and later.read_at >= failed.read_at
            )
        group by all
        order by bool_or(failed.dataset like '%messages') desc, failed.window_start desc
        limit 20
    """,
    "rejects": """
        select dataset, reason, count(*) as records, max(rejected_at) as last_rejected_at
        from lake.rejects
        group by all
        order by records desc
        limit 20
    """,
    "changed_late": """
        select field, count(*) as changes, max(changes.observed_at) as last_observed_at
        from lake.message_changes as changes
        inner join lake.messages using (message_sid)
        where changes.observed_at > coalesce(sent_at, created_at) + interval 7 days
            and field in ('status', 'price', 'error_code', 'segment_count', 'redaction',
                'missing_since')
        group by field
        order by field
    """,
    "requests_of_30_days": """
        with runs as (
            select account_sid, run_id, max(read_at) as read_at, sum(page_count) as requests
            from lake.extractions
            where dataset in ('messages', 'unsent_messages') and run_id like 'daily-%'
            group by all
        ),
        new_messages as (
            select account_sid, first_seen_at as read_at, ceil(count(*) / 1000) as pages
            from lake.messages
            group by all
        )
        select account_sid, sum(requests) as message_requests, sum(pages) as new_pages,
            round(sum(requests) / sum(pages), 2) as requests_per_new_page
        from runs
        left join new_messages using (account_sid, read_at)
        where read_at > (select max(read_at) from runs) - interval 30 days
        group by account_sid
        order by account_sid
    """,
    "last_runs": """
        select run_id, max(read_at) as read_at, count(*) as windows, sum(page_count) as pages,
            sum(record_count) as records,
            count(*) filter (where outcome not in ('ok', 'empty')) as not_ok
        from lake.extractions
        group by run_id
        order by read_at desc, run_id
        limit 5
    """,
}


def _fetch(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()
) -> tuple[list[str], list[Any]]:
    result = connection.execute(sql, list(parameters))
    names = [column[0] for column in result.description or []]
    return names, result.fetchall()


def _print_table(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    relation = connection.sql(statement)
    if relation is not None:
        relation.show(max_rows=10_000)


def _quoted(path: object) -> str:
    return str(path).replace("'", "''")
