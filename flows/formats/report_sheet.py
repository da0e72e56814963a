"""One report as one sheet: typed cells, frozen headings, filters, and nothing cut in silence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import duckdb
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from flows.formats.relations import Column, Kind, Kpi, Relation, quoted
from flows.formats.rows import Cells, Rows
from flows.formats.styles import LINE_HEIGHT, WIDEST, Styles, width_of
from flows.texts import Texts

EXCEL_ROWS = 1_048_576
LONG_ROWS = 30_000
"""A report of more rows than this is shown with its newest months only, as many as these hold."""
_CELL_CHARACTERS = 32_767  # UTF-16 units an Excel cell holds
_ROWS_AT_ONCE = 5_000
_FIRST_YEAR = 1901  # of Excel's calendar, whose 1900 has a day too many
_DAY_ZERO = date(1899, 12, 30).toordinal()

Titles = Mapping[str, str]
Columns = Sequence[Sequence[Any]]
MakeCells = Callable[[Sequence[Any], Columns], list[str]]


@dataclass(frozen=True)
class Extent:
    """Which rows of a report its sheet holds, and a sentence on the others if there are any."""

    select: str
    row_count: int
    note: str | None


@dataclass(frozen=True)
class _Measures:
    """What is known of a column's values: characters of the longest, and decimals to show."""

    longest: int
    decimals: int


def extent_of(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    texts: Texts,
    *,
    long_rows: int = LONG_ROWS,
    most_rows: int = EXCEL_ROWS - 2,
) -> Extent:
    """The rows a sheet holds: the newest whole months of a long report, at least one, and no more
    rows than Excel can."""
    select, count = relation.select, relation.row_count
    place = texts.say("sheet.place", name=relation.name)
    notes = []
    first = relation.columns[0]
    is_dated = first.kind in ("date", "month", "datetime")
    if is_dated and count > long_rows:
        ((since,),) = connection.execute(
            "select coalesce(min(month) filter (row_count <= $1), max(month)) from ("
            f"select date_trunc('month', {quoted(first.name)})::date as month, "
            "sum(count(*)) over (order by month desc) as row_count "
            f"from ({select}) where month is not null group by month)",
            [long_rows],
        ).fetchall()
        select = f"from ({select}) where {quoted(first.name)} >= '{since:%Y-%m-%d}'"
        ((kept,),) = connection.execute(f"select count(*) from ({select})").fetchall()
        if kept < count:
            notes.append(
                texts.say(
                    "sheet.newest_months",
                    since=texts.date(since),
                    count=texts.number(count - kept),
                    place=place,
                )
            )
        count = kept
    select = f"from ({select}) order by all"
    if count > most_rows:
        notes.append(
            texts.say(
                "sheet.newest_rows" if is_dated else "sheet.first_rows",
                kept=texts.number(most_rows),
                count=texts.number(count - most_rows),
                place=place,
            )
        )
        select += f" limit {most_rows}" + (f" offset {count - most_rows}" if is_dated else "")
        count = most_rows
    return Extent(select, count, " ".join(notes) or None)


def write_report(
    connection: duckdb.DuckDBPyConnection,
    sheet: Worksheet,
    relation: Relation,
    extent: Extent,
    texts: Texts,
    styles: Styles,
    titles: Mapping[str, Titles],
    kpis: Mapping[str, Kpi],
    currency_of: Callable[[str | None], str | None],
) -> int:
    """Fill the sheet. A note, where there is one, stands above the headings.

    Args:
        titles: for a text column, what its codes are called.
        kpis: how the values of each KPI are shown.
        currency_of: the currency of an account's amounts, in a report that has no column of it.

    Returns:
        How many texts were longer than a cell can hold; these end in an ellipsis.
    """
    measures = _measure(connection, relation, extent, texts, titles)
    top = 0
    if extent.note:
        sheet.write_string(0, 0, extent.note, styles.note)
        top = 1
    sheet.set_row(top, 2 * LINE_HEIGHT)  # before its cells: a row is written once
    for index, column in enumerate(relation.columns):
        heading = texts.heading(column.name)
        sheet.write_string(top, index, heading, styles.heading(column.kind))
        sheet.set_column(index, index, width_of(column.kind, heading, measures[index].longest))
    maker = _CellMaker(sheet, top + 1, relation, measures, texts, styles, titles, kpis, currency_of)
    number = top
    result = connection.execute(extent.select)
    while rows := result.fetchmany(_ROWS_AT_ONCE):
        maker.append(list(zip(*rows, strict=True)))
        number += len(rows)
    sheet.freeze_panes(top + 1, 0)
    sheet.repeat_rows(top)
    sheet.autofilter(top, 0, max(number, top), len(relation.columns) - 1)
    return maker.cut_count


class _CellMaker:
    """Makes the cells of one report, each as what it is; what is null stays empty."""

    def __init__(
        self,
        sheet: Worksheet,
        first: int,
        relation: Relation,
        measures: list[_Measures],
        texts: Texts,
        styles: Styles,
        titles: Mapping[str, Titles],
        kpis: Mapping[str, Kpi],
        currency_of: Callable[[str | None], str | None],
    ) -> None:
        self.cut_count = 0
        self._rows = Rows(sheet, first, len(relation.columns))
        self._texts = texts
        self._styles = styles
        self._relation = relation
        self._currency_of = currency_of
        self._titles = titles
        self._kpis = kpis
        self._long_texts = [
            index
            for index, column in enumerate(relation.columns)
            if column.kind == "text" and measures[index].longest + 3 > WIDEST
        ]
        self._cells = [
            self._cells_of(column, measures[index].decimals, index in self._long_texts)
            for index, column in enumerate(relation.columns)
        ]

    def append(self, columns: Columns) -> None:
        """Write some rows, given by column."""
        cells = [make(columns[index], columns) for index, make in enumerate(self._cells)]
        heights = [1] * len(columns[0])
        # Not every program makes a row as high as its texts are long.
        for index in self._long_texts:
            heights = list(map(max, heights, map(_lines, columns[index])))
        self._rows.append(
            cells, {row: lines * LINE_HEIGHT for row, lines in enumerate(heights) if lines > 1}
        )

    def _cells_of(self, column: Column, decimals: int, is_long: bool) -> MakeCells:
        """What makes the cells of a column, from its values and those of all columns."""
        if column.name in ("value", "goal") and self._relation.column("kpi") is not None:
            return self._kpi_cells()
        if column.kind == "money":
            return self._money_cells(decimals)
        style = self._styles.value(column.kind, decimals)
        match column.kind:
            case "boolean":
                made = Cells(lambda value: self._rows.cell(Worksheet.write_boolean, value, style))
            case "date" | "datetime" | "month":
                made = Cells(lambda value: self._instant(value, style))
            case "code" | "integer" | "number" | "rate":
                number = self._rows.number(style)
                return lambda values, columns: list(map(number, values))
            case _:
                of_text = self._styles.long_text if is_long else self._styles.text
                return self._text_cells(column.name, of_text)
        return lambda values, columns: made.of(values)

    def _money_cells(self, decimals: int) -> MakeCells:
        numbers = Cells(
            lambda currency: self._rows.number(self._styles.value("money", decimals, currency))
        )
        return lambda values, columns: [
            numbers[currency](value)
            for value, currency in zip(values, self._currencies(columns), strict=True)
        ]

    def _kpi_cells(self) -> MakeCells:
        """Of a KPI's values or goals, in what that KPI is measured in."""
        numbers = Cells(lambda look: self._rows.number(self._styles.value(*look)))

        def cell(value: float | None, kpi: str, currency: str | None) -> str:
            if value is None or not math.isfinite(value):
                return numbers["number", 0](value)
            kind, decimals = kpi_kind(self._kpis.get(kpi), value)
            return numbers[kind, decimals, currency if kind == "money" else None](value)

        return lambda values, columns: list(
            map(cell, values, self._values("kpi", columns), self._currencies(columns))
        )

    def _currencies(self, columns: Columns) -> list[str | None]:
        """The currency of each row's amounts."""
        known = zip(
            self._values("currency", columns), self._values("account_sid", columns), strict=True
        )
        return [currency or self._currency_of(account) for currency, account in known]

    def _values(self, name: str, columns: Columns) -> Sequence[Any]:
        """The values of a column; nulls if the report has no such column."""
        index = self._relation.column(name)
        return [None] * len(columns[0]) if index is None else columns[index]

    def _instant(self, value: date, style: Format) -> str:
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        if value.year < _FIRST_YEAR:
            return self._rows.cell(Worksheet.write_string, value.isoformat())
        return self._rows.cell(Worksheet.write_number, _serial(value), style)

    def _text_cells(self, name: str, style: Format) -> MakeCells:
        too_long: set[str] = set()

        def cell(value: str) -> str:
            shown = self._titles.get(name, {}).get(value) or self._texts.value(name, value)
            held = fitting(shown)
            if held is not shown:
                too_long.add(value)
            return self._rows.cell(write_text, held, style)

        made = Cells(cell)

        def cells(values: Sequence[Any], columns: Columns) -> list[str]:
            texts = [None if value is None else str(value) for value in values]
            found = made.of(texts)
            if too_long:
                self.cut_count += sum(text in too_long for text in texts)
            return found

        return cells


def _serial(value: date) -> float:
    """A date as sheets hold it: days since the end of 1899. The library's own conversion takes as
    long as all the rest of a sheet."""
    days = value.toordinal() - _DAY_ZERO
    if not isinstance(value, datetime):
        return days
    seconds = value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    return days + seconds / 86_400


def _lines(text: str | None) -> int:
    """About how many lines a text takes in the widest column, ten at most."""
    return min(10, -(-len(text or "") // (WIDEST - 8)))


def kpi_kind(kpi: Kpi | None, value: float) -> tuple[Kind, int]:
    """What kind of value a KPI's is, and the decimals to show."""
    match kpi and kpi.unit:
        case "share":
            return "rate", 0
        case "money":
            return "money", 4 if abs(value) < 1 else 2
        case "seconds":
            return "number", 1
    return ("integer", 0) if value == int(value) else ("number", 2)


def fitting(text: str) -> str:
    """A text as long as a cell can hold; a longer one ends in an ellipsis."""
    # Only then can it be too long: a character takes at most two units.
    if len(text) <= _CELL_CHARACTERS // 2:
        return text
    units = text.encode("utf-16-le")
    if len(units) <= 2 * _CELL_CHARACTERS:
        return text
    return units[: 2 * (_CELL_CHARACTERS - 1)].decode("utf-16-le", "ignore") + "…"


def write_text(sheet: Worksheet, row: int, column: int, text: str, style: Format) -> None:
    """Write a text as text, whatever is in it."""
    if text.startswith("<r>") and text.endswith("</r>"):
        # The library takes such a string for its own markup and writes it as it is.
        sheet.write_rich_string(row, column, text[:1], text[1:2], text[2:], style)
    else:
        sheet.write_string(row, column, text, style)


def _measure(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    extent: Extent,
    texts: Texts,
    titles: Mapping[str, Titles],
) -> list[_Measures]:
    """Look through all values of each column once, in SQL."""
    parts = []
    for column in relation.columns:
        name = quoted(column.name)
        if column.kind == "text":
            parts += [f"max(length({name}))", "null", "null"]
        elif column.kind in ("integer", "money", "number"):
            parts += ["null", f"max(abs({name}))::double", f"bool_and({name} = trunc({name}))"]
        else:
            parts += ["null", "null", "null"]
    (found,) = connection.execute(f"select {', '.join(parts)} from ({extent.select})").fetchall()
    measures = []
    for index, column in enumerate(relation.columns):
        longest, greatest, is_whole = found[3 * index : 3 * index + 3]
        if column.name in titles:
            used = connection.execute(
                f"select distinct {quoted(column.name)} from ({extent.select})"
            ).fetchall()
            longest = max((len(titles[column.name].get(v, v or "")) for (v,) in used), default=0)
        if column.kind == "text":
            longest = max(longest or 0, texts.longest_value(column.name))
        measures.append(_measures(column.kind, longest, greatest, is_whole))
    return measures


def _measures(
    kind: Kind, longest: int | None, greatest: float | None, is_whole: bool | None
) -> _Measures:
    decimals = 0
    if kind == "money":
        # Prices of single messages are thousandths; sums are read in cents.
        decimals = 2 if greatest is not None and greatest >= 100 else 4
    elif kind == "number":
        decimals = 2 if is_whole is False else 0
    if greatest is not None and math.isfinite(greatest):
        longest = len(f"{greatest:,.{decimals}f}") + (5 if kind == "money" else 1)
    return _Measures(longest or 0, decimals)
