"""What the page shows, read from the published warehouse: selected and put in order, not computed.

Figures of a period and an account come as SQL made them. They are laid out for a small file: a
table by period and account is `table[period][scope] = [rows]`; a daily series is a list of values,
one for each day from the first day on, whatever the period chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
from babel import Locale

from flows.texts import Texts

_DIGITS = 9  # significant ones of a float: more than any figure on the page is shown with
_MOST_MEMBERS = 15  # of a dimension with many: countries, senders, services
_MOST_GAPS = 200  # of an account, days listed one by one that are not complete, newest first

_PERIODS = (
    "select page_period, period, start_date, end_date, gmt_start_date, gmt_end_date "
    "from marts.page_periods order by position"
)
_SCOPES = (
    "select account_sid, currency, is_all, has_budget, account_count, account_name "
    "from marts.page_scopes order by position"
)
_RUN = (
    "select run_id, read_at at time zone $1, utc_date, local_date, reject_count from marts.page_run"
)
_FRESHNESS = (
    "select scope, account_sid, account_name, status, messages_read_from at time zone $1, "
    "messages_read_until at time zone $1, messages_read_at at time zone $1, "
    "usage_read_at at time zone $1, messages_outcome from marts.page_freshness order by position"
)
_KPIS = (
    "select kpi, title_{language}, description_{language}, unit, direction, minimum_sample, "
    "calendar from marts.kpis order by position"
)
# Tables by period and account: name, columns after these two, and order.
_TABLES = {
    "kpis": (
        "page_kpis",
        "kpi, value, goal, comparison, is_met, denominator, is_settled, previous_value, change",
        "",
    ),
    "categories": (
        "page_categories",
        "cost_category, cost, share_of_cost, event_count",
        "cost desc, cost_category",
    ),
    "errors": (
        "page_errors",
        "error_code, message_count, failed_count, share_of_attempted, message_cost, "
        "last_message_date",
        "message_count desc, error_code",
    ),
    "completeness": (
        "page_completeness",
        "channel_group, state, day_count",
        "channel_group, state",
    ),
    "recipients": (
        "page_recipients",
        "recipient_rank, recipient, country, message_count, delivered_count, failed_count, "
        "message_cost, reply_count, last_message_at at time zone 'UTC' at time zone $1",
        "recipient_rank",
    ),
}
_GROUPS = (
    "select page_period, account_sid, dimension, member, message_count, inbound_count, "
    "attempted_count, delivery_rate, error_rate, message_cost, unpriced_count "
    "from marts.page_groups "
    "qualify row_number() over (partition by page_period, account_sid, dimension "
    f"order by message_count desc, member) <= {_MOST_MEMBERS} "
    "order by message_count desc, member, dimension"
)
_HOURS = (
    "select page_period, account_sid, (weekday - 1) * 24 + hour_of_day, attempted_count, "
    "delivery_rate from marts.page_hours"
)
_GAPS = (
    "select usage_date, account_sid, channel_group, state, message_count, usage_count, difference "
    "from marts.daily_completeness where state <> 'complete' "
    "qualify row_number() over (partition by account_sid order by usage_date desc, channel_group) "
    f"<= {_MOST_GAPS} order by usage_date desc, account_sid, channel_group"
)
_COMPLETENESS_DAYS = (
    "select account_sid, channel_group, usage_date, state from marts.page_completeness_days "
    "order by channel_group"
)
# Months in which the categories add up to more than Twilio's total.
_OVERLAPS = (
    "select month, account_sid, cost from reports.monthly_cost "
    "where cost_category = 'other' and cost < 0 order by month desc, account_sid"
)
_DAILY = {
    "local": (
        "select account_sid, figure_date, attempted_count, delivered_count, delivery_rate, "
        "is_settled from marts.page_days where calendar = 'local'"
    ),
    "gmt": (
        "select account_sid, figure_date, total_cost, is_settled "
        "from marts.page_days where calendar = 'gmt' and total_cost is not null"
    ),
}
_CHANNEL_DAYS = (
    "select account_sid, direction, channel, message_date, message_count "
    "from marts.page_channel_days order by direction, channel"
)
_KPI_DAYS = (
    "select account_sid, kpi, period_start, value from reports.kpis where period = 'day' "
    "order by account_sid, kpi"
)


@dataclass(frozen=True)
class _Days:
    """All days the page may show, of both calendars."""

    first: date
    count: int

    def index(self, day: date) -> int:
        """Which one a day is."""
        return (day - self.first).days

    def series(self, values: Iterable[tuple[date, Any]]) -> list[Any]:
        """Values by day as one list, null where there is none."""
        found: list[Any] = [None] * self.count
        for day, value in values:
            if 0 <= self.index(day) < self.count:
                found[self.index(day)] = _plain(value)
        return found


def has_page(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the warehouse has what the page is made of."""
    return bool(
        _rows(
            connection,
            "select 1 from information_schema.tables "
            "where table_schema = 'marts' and table_name = 'page_run'",
        )
    )


def read_page(connection: duckdb.DuckDBPyConnection, texts: Texts, timezone: str) -> dict[str, Any]:
    """All that the page shows, as JSON can hold it.

    Args:
        timezone: the report time zone; instants are its local times.
    """
    periods = _rows(connection, _PERIODS)
    scopes = _rows(connection, _SCOPES)
    days = _days_of(periods)
    names = ([row[0] for row in periods], [row[0] for row in scopes])
    tables = {
        name: _by_choice(connection, names, *source, timezone) for name, source in _TABLES.items()
    }
    return {
        "language": texts.language,
        "run": _run(connection, timezone),
        "periods": _plain(periods),
        "scopes": _plain(scopes),
        "freshness": _by_scope(_rows(connection, _FRESHNESS, timezone), names[1]),
        "definitions": _plain(_rows(connection, _KPIS.format(language=texts.language))),
        **tables,
        "groups": _nested(_rows(connection, _GROUPS), names),
        "hours": _hours(connection, names),
        "gaps": _plain(_rows(connection, _GAPS)),
        "overlaps": _plain(_rows(connection, _OVERLAPS)),
        "days": None if days is None else _daily(connection, days, names[1]),
        "errorTexts": _error_texts(connection, texts.language),
        "categoryTitles": _category_titles(connection, texts.language),
        "countries": _countries(connection, texts.language),
    }


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, *values: object
) -> list[tuple[Any, ...]]:
    return connection.execute(query, list(values)).fetchall()


def _plain(value: Any) -> Any:
    """A value, or rows of values, as JSON has them; a float with no more digits than are shown."""
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        short = float(f"{value:.{_DIGITS}g}")
        return int(short) if short.is_integer() else short
    if isinstance(value, datetime):
        return value.isoformat(timespec="minutes")
    return value.isoformat() if isinstance(value, date) else value


def _by_choice(
    connection: duckdb.DuckDBPyConnection,
    names: tuple[list[str], list[str]],
    table: str,
    columns: str,
    order: str,
    timezone: str,
) -> dict[str, Any]:
    query = f"select page_period, account_sid, {columns} from marts.{table}"
    values = [timezone] if "$1" in columns else []
    return _nested(_rows(connection, f"{query} order by {order or 'all'}", *values), names)


def _nested(
    rows: Iterable[Sequence[Any]], names: tuple[list[str], list[str]]
) -> dict[str, dict[str, list[Any]]]:
    """Rows by period and scope, without these two columns, in the order they come."""
    periods, scopes = names
    found: dict[str, dict[str, list[Any]]] = {
        period: {scope: [] for scope in scopes} for period in periods
    }
    for period, scope, *rest in rows:
        found[period][scope].append(_plain(rest))
    return found


def _by_scope(rows: Iterable[Sequence[Any]], scopes: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {scope: [] for scope in scopes}
    for scope, *rest in rows:
        found[scope].append(_plain(rest))
    return found


def _hours(
    connection: duckdb.DuckDBPyConnection, names: tuple[list[str], list[str]]
) -> dict[str, Any]:
    """For each period and scope the 168 hours of a week: what was attempted, and the rates."""
    return {
        period: {scope: _week(rows) for scope, rows in scopes.items()}
        for period, scopes in _nested(_rows(connection, _HOURS), names).items()
    }


def _week(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    attempted: list[Any] = [None] * 168
    rates: list[Any] = [None] * 168
    for hour, count, rate in rows:
        attempted[hour], rates[hour] = count, rate
    return [attempted, rates] if rows else []


def _days_of(periods: Sequence[tuple[Any, ...]]) -> _Days | None:
    """The days from the first on that any period has; none without periods."""
    starts = [start for row in periods for start in (row[2], row[4]) if start is not None]
    ends = [end for row in periods for end in (row[3], row[5]) if end is not None]
    if not starts or not ends:
        return None
    # Periods such as the last 90 days may begin long before there is anything.
    whole = [row for row in periods if row[1] == "all"]
    first = min((start for row in whole for start in (row[2], row[4])), default=min(starts))
    return _Days(first, (max(ends) - first).days)


def _daily(
    connection: duckdb.DuckDBPyConnection, days: _Days, scopes: Sequence[str]
) -> dict[str, Any]:
    """Daily series of each scope."""
    found: dict[str, dict[str, Any]] = {scope: {"channels": [], "kpis": {}} for scope in scopes}
    columns = {
        "local": ("attempted", "delivered", "deliveryRate", "isSettled"),
        "gmt": ("cost", "costIsSettled"),
    }
    for calendar, query in _DAILY.items():
        rows = _by(_rows(connection, query), 1)
        for (scope,), values in rows.items():
            for index, name in enumerate(columns[calendar], start=1):
                found[scope][name] = days.series((row[0], row[index]) for row in values)
    for (scope, direction, channel), values in _by(_rows(connection, _CHANNEL_DAYS), 3).items():
        found[scope]["channels"].append([direction, channel, days.series(values)])
    for (scope, kpi), values in _by(_rows(connection, _KPI_DAYS), 2).items():
        found[scope]["kpis"][kpi] = days.series(values)
    rows = _by(_rows(connection, _COMPLETENESS_DAYS), 2)
    for scope in scopes:
        found[scope]["completeness"] = {
            group: days.series(values) for (name, group), values in rows.items() if name == scope
        }
    return {
        "first": days.first.isoformat(),
        "count": days.count,
        "last": (days.first + timedelta(days=days.count - 1)).isoformat(),
        "series": found,
    }


def _by(
    rows: Iterable[tuple[Any, ...]], key_length: int
) -> Mapping[tuple[Any, ...], list[tuple[Any, ...]]]:
    """The rest of each row by its first columns, in the order they come."""
    found: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[:key_length], []).append(row[key_length:])
    return found


def _run(connection: duckdb.DuckDBPyConnection, timezone: str) -> dict[str, Any]:
    """When the last run was, which, and how much could not be understood."""
    ((run_id, as_of, gmt_today, local_today, rejected),) = _rows(connection, _RUN, timezone)
    return {
        "asOf": _plain(as_of),
        "id": run_id,
        "timezone": timezone,
        "gmtToday": _plain(gmt_today),
        "localToday": _plain(local_today),
        "rejectCount": rejected,
    }


def _error_texts(connection: duckdb.DuckDBPyConnection, language: str) -> dict[str, Any]:
    """Of each code met: title, cause, remedy, whether blocked, whether retryable, Twilio's page."""
    rows = _rows(
        connection,
        f"select distinct on (error_code) error_code, title_{language}, cause_{language}, "
        f"remedy_{language}, is_blocked, is_retryable, url from marts.page_errors "
        "order by error_code",
    )
    return {str(code): rest for code, *rest in rows}


def _category_titles(connection: duckdb.DuckDBPyConnection, language: str) -> dict[str, str]:
    return dict(
        _rows(
            connection,
            f"select distinct cost_category, title_{language} from marts.page_categories "
            f"where title_{language} is not null order by all",
        )
    )


def _countries(connection: duckdb.DuckDBPyConnection, language: str) -> dict[str, str]:
    """The names of the countries met."""
    territories = Locale(language).territories
    codes = _rows(
        connection,
        "select member from marts.page_groups where dimension = 'country' and member is not null "
        "union select country from marts.page_recipients where country is not null order by all",
    )
    return {code: str(territories[code]) for (code,) in codes if code in territories}
