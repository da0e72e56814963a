"""Rows of a long sheet, made of whole columns of cells.

XlsxWriter takes one cell at a time, each through checks, a tuple, a table and a list of attributes.
A report has a million cells, of which few differ: what XlsxWriter makes of one is asked once, kept
without its place, and put by Arrow wherever it stands. A sheet takes a tenth of the time.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

_SAMPLE = 0.5
_KEPT = 50_000
_BEFORE_NUMBER_OF_TEXT = b' t="s"><v>'


class Rows:
    """The rows of one sheet of a workbook in constant memory, from one row on.

    A cell is a text here: what follows the reference in its element. A null is no cell.
    """

    def __init__(self, sheet: Worksheet, first: int, column_count: int) -> None:
        self._sheet = sheet
        self._next = first
        self._letters = [xl_col_to_name(index) for index in range(column_count)]
        # What was written cell by cell so far stands before these rows.
        sheet._write_single_row(first)

    def cell(self, write: Callable[..., object], *what: Any) -> str:
        """What XlsxWriter makes of a cell.

        Args:
            write: a method of the sheet that writes a cell, or a function like it.
            what: its arguments after row and column.
        """
        sheet, row, file = self._sheet, self._next, self._sheet.fh
        last_row, text_count = sheet.dim_rowmax, sheet.str_table.count
        sheet.fh = io.StringIO()
        # Else it writes the number of a text that is there once for all cells and sheets: a quarter
        # of what sheets held were the same few texts, written out in each cell. Many would fill
        # memory, which holds them until the workbook is closed.
        sheet.constant_memory = sheet.str_table.unique_count >= _KEPT
        try:
            write(sheet, row, 0, *what)
            sheet._write_single_row(row)
            _, _, cell = sheet.fh.getvalue().partition(f'<c r="A{row + 1}"')
        finally:
            sheet.fh, sheet.dim_rowmax, sheet.constant_memory = file, last_row, True
            sheet.str_table.count = text_count
        return cell.removesuffix("</row>")

    def around_number(self, style: Format) -> tuple[str, str]:
        """What stands before and behind the digits in the cell of a number."""
        before, _, after = self.cell(Worksheet.write_number, _SAMPLE, style).partition(str(_SAMPLE))
        return before, after

    def append(self, columns: Sequence[pa.StringArray], heights: Mapping[int, float]) -> None:
        """Write rows.

        Args:
            columns: the cells of each column, one a row.
            heights: points, for those of these rows that are not as high as usual.
        """
        count = len(columns[0])
        if not count:
            return
        numbers = pa.array(range(self._next + 1, self._next + 1 + count)).cast(pa.string())
        attributes = texts_of(_height(heights.get(row)) for row in range(count)) if heights else ""
        placed = (
            pc.binary_join_element_wise(f'<c r="{letter}', numbers, '"', cells, "")
            for letter, cells in zip(self._letters, columns, strict=True)
        )
        rows = pc.binary_join_element_wise(
            '<row r="', numbers, '"', attributes, ">", *placed, "</row>", "",
            null_handling="replace", null_replacement="",
        )  # fmt: skip
        self._write(rows)
        self._next += count
        # So that XlsxWriter knows what it holds, and goes on behind it.
        self._sheet._check_dimensions(self._next - 1, len(columns) - 1)
        self._sheet._write_single_row(self._next)

    def _write(self, texts: pa.StringArray) -> None:
        """Write an array that was just made: the bytes it holds, one text behind the other."""
        self._sheet.fh.flush()
        content = texts.buffers()[2].to_pybytes()
        self._sheet.fh.buffer.write(content)
        self._sheet.str_table.count += content.count(_BEFORE_NUMBER_OF_TEXT)


class Cells(dict[Any, Any]):
    """What is made of each key, once for as long as not too many are kept."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Any:
        if len(self) >= _KEPT:
            self.clear()
        self[key] = made = self._make(key)
        return made


def texts_of(texts: Iterable[str | None]) -> pa.StringArray:
    """An array of texts."""
    return pa.array(list(texts), pa.string())


def digits(values: pa.Array) -> pa.StringArray:
    """Numbers as sheets hold them: exact, of a double as few digits as tell it from any other."""
    texts = values.cast(pa.string())
    if pa.types.is_decimal(values.type) and values.type.scale > 0:
        # Arrow writes a decimal with a point, but for one below a millionth: 1E-7.
        short = pc.utf8_rtrim(pc.utf8_rtrim(texts, characters="0"), characters=".")
        return pc.if_else(pc.match_substring(texts, "E"), texts, short)
    return texts


def _height(points: float | None) -> str:
    return "" if points is None else f' ht="{points:.16g}" customHeight="1"'
