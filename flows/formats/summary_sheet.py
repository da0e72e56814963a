"""The first sheet: what the workbook is from, the key figures, and what each sheet holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb
from xlsxwriter.worksheet import Worksheet

from flows.formats.relations import Kind, Kpi, Relation
from flows.formats.report_sheet import Extent, fitting, kpi_kind, write_text
from flows.formats.styles import Styles
from flows.texts import Texts

_WIDTHS = (38, 22, 18, 18, 22, 12)
_COLUMNS_OF_KPIS = (
    "period_start", "period", "account_sid", "kpi", "value", "goal", "comparison", "is_met",
    "denominator", "is_settled",
)  # fmt: skip
_HEADINGS_OF_SHEETS: dict[str, Kind] = {
    "sheet.sheet": "date", "sheet.rows": "integer", "sheet.contents": "text",
}  # fmt: skip
_HEADINGS_OF_KPIS: dict[str, Kind] = {
    "column.kpi": "date", "column.account_sid": "text", "column.value": "number",
    "column.goal": "number", "column.state": "text", "column.is_settled": "boolean",
}  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """Where the figures are from.

    Attributes:
        timezone: the report time zone; the instants below are its local times.
        read_from: start of the first window of messages read.
        read_until: end of the last one.
        as_of: clock of the last run.
        run_id: the last run.
        accounts: identifier, name and status of each.
        currency: the currency of all costs; None if there is none or more than one.
        currencies: that of each account, and of all accounts of a currency together.
    """

    timezone: str
    read_from: datetime | None
    read_until: datetime | None
    as_of: datetime | None
    run_id: str | None
    accounts: tuple[tuple[str, str | None, str | None], ...]
    currency: str | None
    currencies: Mapping[str, str | None]

    def currency_of(self, account: str | None) -> str | None:
        """The currency of the costs of an account, or of all accounts together."""
        return self.currencies.get(account, self.currency) if account else self.currency


@dataclass(frozen=True)
class Contents:
    """One sheet: its name, its report, which rows it holds and how many texts were too long."""

    sheet_name: str
    relation: Relation
    extent: Extent
    cut_count: int


def read_facts(connection: duckdb.DuckDBPyConnection, timezone: str) -> Facts:
    """What the published warehouse says about itself."""
    ((read_from, read_until, as_of, run_id),) = connection.execute(
        "select min(window_start) filter (where is_read) at time zone $1, "
        "max(window_end) filter (where is_read) at time zone $1, "
        "max(read_at) at time zone $1, max_by(run_id, (read_at, run_id)) from (select *, "
        "dataset = 'messages' and outcome in ('ok', 'empty') as is_read from lake.extractions)",
        [timezone],
    ).fetchall()
    accounts = connection.execute(
        "select account_sid, name, status from lake.accounts "
        "order by account_sid <> owner_account_sid, name, account_sid"
    ).fetchall()
    # An earlier version may have published less.
    marts = {
        name
        for (name,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = 'marts'"
        ).fetchall()
    }
    # By the hour, as all messages would have to be read for it.
    messages = "marts.hourly_messages" if "hourly_messages" in marts else "lake.messages"
    currencies = connection.execute(
        "select currency from lake.usage_records where currency is not null "
        f"union select currency from {messages} where currency is not null"
    ).fetchall()
    of_scopes = (
        connection.execute("select distinct scope, currency from marts.account_scopes").fetchall()
        if "account_scopes" in marts
        else []
    )
    return Facts(
        timezone, read_from, read_until, as_of, run_id, tuple(accounts),
        currency=currencies[0][0] if len(currencies) == 1 else None,
        currencies=dict(of_scopes),
    )  # fmt: skip


def write_summary(
    connection: duckdb.DuckDBPyConnection,
    sheet: Worksheet,
    facts: Facts,
    contents: Sequence[Contents],
    texts: Texts,
    styles: Styles,
    titles: Mapping[str, Mapping[str, str]],
    kpis: Mapping[str, Kpi],
) -> None:
    """Fill the sheet from top to bottom."""
    for index, width in enumerate(_WIDTHS):
        sheet.set_column(index, index, width)
    page = _Page(sheet, texts, styles)
    page.title(texts.say("sheet.title"))
    page.fact("sheet.read_from", facts.read_from)
    page.fact("sheet.read_until", facts.read_until)
    page.fact("sheet.as_of", facts.as_of)
    page.fact("sheet.timezone", facts.timezone)
    page.fact("sheet.run", facts.run_id)
    page.note(texts.say("sheet.figures"))
    for entry in contents:
        if set(_COLUMNS_OF_KPIS) <= {column.name for column in entry.relation.columns}:
            _write_kpis(connection, page, facts, entry.relation, titles.get("kpi", {}), kpis)
    page.skip()
    page.title(texts.say("sheet.sheets"))
    page.headings(_HEADINGS_OF_SHEETS)
    for entry in contents:
        about = texts.about(entry.relation.name) or entry.relation.comment
        page.row(entry.sheet_name, entry.extent.row_count, about)
        for note in _notes(entry, texts):
            page.note(note)
    page.skip()
    page.title(texts.say("sheet.accounts"))
    for sid, name, status in facts.accounts:
        page.row(sid, name, status and texts.value("account_status", status))


def _notes(entry: Contents, texts: Texts) -> list[str]:
    notes = [entry.extent.note] if entry.extent.note else []
    if entry.cut_count:
        place = texts.say("sheet.place", name=entry.relation.name)
        notes.append(texts.say("sheet.cut_texts", count=texts.number(entry.cut_count), place=place))
    return notes


def _write_kpis(
    connection: duckdb.DuckDBPyConnection,
    page: _Page,
    facts: Facts,
    relation: Relation,
    titles: Mapping[str, str],
    known: Mapping[str, Kpi],
) -> None:
    """The KPIs of the newest day that is over, of the running month and of the one before."""
    today = None if facts.as_of is None else facts.as_of.date()
    last = Kpi("", len(known) + 1)
    kpis = f"({relation.select})"
    # All accounts together; where there is no such scope, each account.
    together = f"(select coalesce(bool_or(account_sid like 'all%'), false) from {kpis})"
    periods = connection.execute(
        "select period, period_start from ("
        "  select distinct period, period_start, dense_rank() over ("
        "    partition by period order by period_start desc) as age "
        f"  from {kpis} where period = 'month' or period_start < $1) "
        "where age <= case period when 'month' then 2 else 1 end "
        "order by period, period_start desc",
        [today],
    ).fetchall()
    for period, start in periods:
        rows = connection.execute(
            f"select {', '.join(_COLUMNS_OF_KPIS)} from {kpis} "
            f"where period = $1 and period_start = $2 and (account_sid like 'all%') = {together} "
            "order by account_sid, kpi",
            [period, start],
        ).fetchall()
        page.skip()
        page.period(period, start)
        page.headings(_HEADINGS_OF_KPIS)
        lines = [dict(zip(_COLUMNS_OF_KPIS, row, strict=True)) for row in rows]
        for line in sorted(lines, key=lambda line: known.get(line["kpi"], last).position):
            page.kpi(line, titles, known.get(line["kpi"]), facts.currency_of(line["account_sid"]))


class _Page:
    """Writes a sheet line by line."""

    def __init__(self, sheet: Worksheet, texts: Texts, styles: Styles) -> None:
        self._sheet, self._texts, self._styles = sheet, texts, styles
        self._line = 0

    def skip(self) -> None:
        """Leave a line empty."""
        self._line += 1

    def title(self, text: str) -> None:
        """A title."""
        self._sheet.write_string(self._line, 0, text, self._styles.title)
        self._line += 1

    def period(self, period: str, start: date) -> None:
        """The title of a day's or a month's figures."""
        self._sheet.write_string(
            self._line, 0, self._texts.say(f"sheet.kpis.{period}"), self._styles.title
        )
        style = self._styles.value("month" if period == "month" else "date", is_indented=True)
        self._sheet.write_datetime(self._line, 1, start, style)
        self._line += 1

    def note(self, text: str) -> None:
        """A sentence."""
        self._sheet.write_string(self._line, 0, text, self._styles.note)
        self._line += 1

    def fact(self, key: str, value: datetime | str | None) -> None:
        """What something is called, and its value."""
        self.row(self._texts.say(key), value)

    def headings(self, headings: Mapping[str, Kind]) -> None:
        """Column headings, each with the kind of value below it."""
        for index, (key, kind) in enumerate(headings.items()):
            text, style = self._texts.say(key), self._styles.heading(kind)
            self._sheet.write_string(self._line, index, text, style)
        self._line += 1

    def row(self, *values: str | int | datetime | None) -> None:
        """A line of values, each as what it is."""
        for index, value in enumerate(values):
            if isinstance(value, datetime):
                style = self._styles.value("datetime", is_indented=True)
                self._sheet.write_datetime(self._line, index, value, style)
            elif isinstance(value, int):
                self._sheet.write_number(self._line, index, value, self._styles.value("integer"))
            elif value is not None:
                style = self._styles.text if index else self._styles.label
                write_text(self._sheet, self._line, index, fitting(value), style)
        self._line += 1

    def kpi(
        self,
        row: Mapping[str, Any],
        titles: Mapping[str, str],
        known: Kpi | None,
        currency: str | None,
    ) -> None:
        """A KPI with its goal and whether it is met."""
        name = titles.get(row["kpi"]) or self._texts.heading(row["kpi"])
        scope = self._texts.value("account_sid", row["account_sid"])
        write_text(self._sheet, self._line, 0, name, self._styles.label)
        write_text(self._sheet, self._line, 1, scope, self._styles.text)
        if row["value"] is not None:
            kind, decimals = kpi_kind(known, row["value"])
            currency = currency if kind == "money" else None
            is_provisional = row["is_settled"] is False
            style = self._styles.value(kind, decimals, currency, is_provisional=is_provisional)
            self._sheet.write_number(self._line, 2, float(row["value"]), style)
        if row["goal"] is not None:
            kind, decimals = kpi_kind(known, row["goal"])
            style = self._styles.goal(kind, decimals, row["comparison"] or "")
            self._sheet.write_number(self._line, 3, float(row["goal"]), style)
        state = self._texts.say(f"sheet.goal.{_state(row)}")
        self._sheet.write_string(self._line, 4, state, self._styles.state(row["is_met"]))
        if row["is_settled"] is not None:
            self._sheet.write_boolean(
                self._line, 5, row["is_settled"], self._styles.value("boolean")
            )
        self._line += 1


def _state(row: Mapping[str, Any]) -> str:
    if row["is_met"] is not None:
        return "met" if row["is_met"] else "missed"
    if row["value"] is None:
        return "no_data"
    return "no_goal" if row["goal"] is None else "too_few"
