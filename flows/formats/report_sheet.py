"""One report as one sheet: typed cells, frozen headings, filters, and nothing cut in silence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from flows.formats.relations import Column, Kind, Kpi, Relation, quoted
from flows.formats.rows import Cells, Rows, digits, texts_of
from flows.formats.styles import LINE_HEIGHT, WIDEST, Styles, width_of
from flows.texts import Texts
from transforms.distinct import map_distinct
from transforms.records import blank_as_null

EXCEL_ROWS = 1_048_576
LONG_ROWS = 30_000
"""A report of more rows than this is shown with its newest months only, as many as these hold."""
_CELL_CHARACTERS = 32_767  # UTF-16 units an Excel cell holds
_ROWS_AT_ONCE = 10_000
_FIRST_DAY = pa.scalar(date(1901, 1, 1))  # Excel's calendar has a day too many in 1900
_DAY_ZERO = date(1899, 12, 30)

Titles = Mapping[str, str]
MakeCells = Callable[[pa.Array, pa.RecordBatch], pa.Array]


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
    for rows in connection.sql(extent.select).to_arrow_reader(_ROWS_AT_ONCE) or ():
        maker.append(rows)
        number += rows.num_rows
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

    def append(self, rows: pa.RecordBatch) -> None:
        """Write some rows."""
        cells = [make(rows.column(index), rows) for index, make in enumerate(self._cells)]
        heights = np.ones(rows.num_rows, np.int64)
        # Not every program makes a row as high as its texts are long.
        for index in self._long_texts:
            heights = np.maximum(heights, _lines(rows.column(index)))
        high = np.flatnonzero(heights > 1).tolist()
        self._rows.append(cells, {row: float(heights[row] * LINE_HEIGHT) for row in high})

    def _cells_of(self, column: Column, decimals: int, is_long: bool) -> MakeCells:
        """What makes the cells of a column, from its values and the rows they are of."""
        if column.name in ("value", "goal") and self._relation.column("kpi") is not None:
            return self._kpi_cells()
        if column.kind == "money":
            return self._money_cells(decimals)
        style = self._styles.value(column.kind, decimals)
        match column.kind:
            case "boolean":
                made = self._made(lambda value: (Worksheet.write_boolean, value, style))
                return lambda values, rows: made(values)
            case "date" | "datetime" | "month":
                return self._instant_cells(style)
            case "code" | "integer" | "number" | "rate":
                around = self._rows.around_number(style)
                return lambda values, rows: self._numbers(values, *around)
            case _:
                of_text = self._styles.long_text if is_long else self._styles.text
                return self._text_cells(column.name, of_text)

    def _made(self, what: Callable[[Any], tuple[Any, ...]]) -> Callable[[pa.Array], pa.Array]:
        """What XlsxWriter makes of each distinct value."""
        made = Cells(lambda value: self._rows.cell(*what(value)))
        return lambda values: map_distinct(
            values, lambda found: texts_of(made[value] for value in found.to_pylist())
        )

    def _numbers(self, values: pa.Array, before: Any, after: str) -> pa.Array:
        """Cells of numbers; of what is not finite, a text."""
        is_finite = pc.is_finite(values)
        cells = pc.binary_join_element_wise(
            before, digits(pc.if_else(is_finite, values, None)), after, ""
        )
        if pc.all(is_finite, min_count=0).as_py():
            return cells
        odd = self._made(lambda value: (Worksheet.write_string, str(value)))
        return pc.coalesce(cells, odd(pc.if_else(is_finite, None, values)))

    def _money_cells(self, decimals: int) -> MakeCells:
        return self._styled_numbers(
            lambda currency: self._styles.value("money", decimals, currency or None),
            lambda values, rows: self._currencies(rows),
        )

    def _kpi_cells(self) -> MakeCells:
        """Of a KPI's values or goals, in what that KPI is measured in."""

        def look(values: pa.Array, rows: pa.RecordBatch) -> pa.Array:
            size = pc.abs(values)
            # One that is shown alike says it for all others.
            like = pc.add(
                pc.if_else(pc.less(size, 1), 0.0, 1.0),
                pc.if_else(pc.equal(size, pc.floor(size)), 0.0, 0.5),
            )
            return pc.binary_join_element_wise(
                rows.column("kpi"), self._currencies(rows), like.cast(pa.string()), "\t",
                null_handling="replace",
            )  # fmt: skip

        def style(look: str) -> Format:
            kpi, currency, like = look.split("\t")
            kind, decimals = kpi_kind(self._kpis.get(kpi), float(like or 0))
            return self._styles.value(kind, decimals, currency if kind == "money" else None)

        return self._styled_numbers(style, look)

    def _styled_numbers(
        self,
        style_of: Callable[[str], Format],
        looks_of: Callable[[pa.Array, pa.RecordBatch], pa.Array],
    ) -> MakeCells:
        """Of numbers of several looks in one column: a style each."""
        _, after = self._rows.around_number(self._styles.text)
        befores = Cells(lambda look: self._rows.around_number(style_of(look))[0])
        return lambda values, rows: self._numbers(
            values,
            map_distinct(
                looks_of(values, rows),
                lambda found: texts_of(befores[look] for look in found.to_pylist()),
            ),
            after,
        )

    def _currencies(self, rows: pa.RecordBatch) -> pa.Array:
        """The currency of each row's amounts; empty if nobody knows it."""
        of_accounts = map_distinct(
            self._values("account_sid", rows).fill_null(""),
            lambda found: texts_of(self._currency_of(sid) or "" for sid in found.to_pylist()),
        )
        return pc.coalesce(blank_as_null(self._values("currency", rows)), of_accounts)

    def _values(self, name: str, rows: pa.RecordBatch) -> pa.Array:
        """The texts of a column; nulls if the report has no such column."""
        if self._relation.column(name) is None:
            return pa.nulls(rows.num_rows, pa.string())
        return rows.column(name)

    def _instant_cells(self, style: Format) -> MakeCells:
        before, after = self._rows.around_number(style)
        written = self._made(lambda value: (Worksheet.write_string, value.isoformat()))

        def cells(values: pa.Array, rows: pa.RecordBatch) -> pa.Array:
            is_early = pc.less(values.cast(pa.date32()), _FIRST_DAY)
            numbers = pc.binary_join_element_wise(before, digits(_serials(values)), after, "")
            if not pc.any(is_early).as_py():
                return numbers
            utc = values if pa.types.is_date(values.type) else values.cast(pa.timestamp("us"))
            return pc.if_else(is_early, written(pc.if_else(is_early, utc, None)), numbers)

        return cells

    def _text_cells(self, name: str, style: Format) -> MakeCells:
        titles = self._titles.get(name, {})

        def made(value: str) -> tuple[str, bool]:
            shown = titles.get(value) or self._texts.value(name, value)
            held = fitting(shown)
            return self._rows.cell(write_text, held, style), held is not shown

        found = Cells(made)

        def cells(values: pa.Array, rows: pa.RecordBatch) -> pa.Array:
            encoded = _as_texts(values).dictionary_encode()
            of_each = [found[text] for text in encoded.dictionary.to_pylist()]
            if any(is_cut for _, is_cut in of_each):
                is_cut = pa.array([is_cut for _, is_cut in of_each]).take(encoded.indices)
                self.cut_count += pc.sum(is_cut).as_py()
            return texts_of(cell for cell, _ in of_each).take(encoded.indices)

        return cells


def _serials(values: pa.Array) -> pa.Array:
    """Dates and moments (UTC) as sheets hold them: days since the end of 1899."""
    if pa.types.is_date(values.type):
        return pc.subtract(values.cast(pa.int32()), (_DAY_ZERO - date(1970, 1, 1)).days)
    microseconds = values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64())
    days, rest = np.divmod(microseconds.fill_null(0).to_numpy(), 86_400 * 1_000_000)
    serials = days - (_DAY_ZERO - date(1970, 1, 1)).days + rest / 1e6 / 86_400
    return pa.array(serials, mask=pc.is_null(values).to_numpy(zero_copy_only=False))


def _as_texts(values: pa.Array) -> pa.Array:
    if pa.types.is_nested(values.type):
        return texts_of(None if value is None else str(value) for value in values.to_pylist())
    return values.cast(pa.string())


def _lines(values: pa.Array) -> np.ndarray:
    """About how many lines each text takes in the widest column, ten at most."""
    length = pc.utf8_length(_as_texts(values)).fill_null(0).to_numpy()
    return np.minimum(10, -(-length // (WIDEST - 8)))


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
