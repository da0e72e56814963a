"""Rows of a long sheet, made of whole columns of cells.

XlsxWriter takes one cell at a time, each through checks, a tuple, a table and a list of attributes.
A report has a million cells, of which few differ: what XlsxWriter makes of one is asked once, kept
without its place, and put wherever it stands. The file is the same, in a quarter of the time.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

_SAMPLE = 0.5
_KEPT = 50_000


class Rows:
    """The rows of one sheet of a workbook in constant memory, from one row on.

    A cell is a text here: what follows the reference in its element. An empty text is no cell.
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
        last_row = sheet.dim_rowmax
        sheet.fh = io.StringIO()
        try:
            write(sheet, row, 0, *what)
            sheet._write_single_row(row)
            _, _, cell = sheet.fh.getvalue().partition(f'<c r="A{row + 1}"')
        finally:
            sheet.fh, sheet.dim_rowmax = file, last_row
        return cell.removesuffix("</row>")

    def number(self, style: Format) -> Callable[[float | None], str]:
        """What makes a cell of a number; of none, no cell; of what is not finite, a text."""
        sample = self.cell(Worksheet.write_number, _SAMPLE, style)
        before, after = sample.split(str(_SAMPLE))

        def cell(value: float | None) -> str:
            if value is None:
                return ""
            if not math.isfinite(value):
                return self.cell(Worksheet.write_string, str(value))
            # with as many digits as XlsxWriter gives it
            return f"{before}{float(value):.16G}{after}"

        return cell

    def append(self, columns: Sequence[Sequence[str]], heights: Mapping[int, float]) -> None:
        """Write rows.

        Args:
            columns: the cells of each column, one a row.
            heights: points, for those of these rows that are not as high as usual.
        """
        numbers = range(self._next + 1, self._next + 1 + len(columns[0]))
        starts = [f'<row r="{number}">' for number in numbers]
        for row, height in heights.items():
            starts[row] = f'<row r="{numbers[row]}" ht="{height:.16g}" customHeight="1">'
        placed = (
            [
                f'<c r="{letter}{number}"{cell}' if cell else ""
                for number, cell in zip(numbers, cells, strict=True)
            ]
            for letter, cells in zip(self._letters, columns, strict=True)
        )
        ends = ["</row>"] * len(starts)
        self._sheet.fh.writelines(map("".join, zip(starts, *placed, ends, strict=True)))
        self._next += len(starts)
        # So that XlsxWriter knows what it holds, and goes on behind it.
        self._sheet._check_dimensions(self._next - 1, len(columns) - 1)
        self._sheet._write_single_row(self._next)


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

    def of(self, keys: Sequence[Any]) -> list[Any]:
        """What is made of each; of null, an empty text: no cell."""
        return ["" if key is None else self[key] for key in keys]
