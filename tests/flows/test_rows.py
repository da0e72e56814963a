"""Rows made of columns of cells are what XlsxWriter makes of them cell by cell."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from flows.formats.report_sheet import write_text
from flows.formats.rows import Cells, Rows

KEYS = st.integers(0, 9)  # without any cell a row would not be there at all
NUMBERS = st.one_of(
    st.none(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=True, allow_infinity=True),
    st.decimals(-1000, 1000, places=6, allow_nan=False),
)
TEXTS = st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["<r>a</r>", " x ", "&<>\x01"]))


def written(path: Path, fill: Callable[[Worksheet, Format, Format], None]) -> bytes:
    """The XML of a sheet that has a heading and what is filled in with two formats."""
    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    sheet = workbook.add_worksheet()
    sheet.write_string(0, 0, "heading")
    style = workbook.add_format({"num_format": "#,##0.00", "valign": "top"})
    bold = workbook.add_format({"bold": True})
    # Numbered by who asks first, which is no matter here.
    style._get_xf_index(), bold._get_xf_index()
    fill(sheet, style, bold)
    sheet.autofilter(0, 0, 3, 2)
    workbook.close()
    with zipfile.ZipFile(path) as file:
        return file.read("xl/worksheets/sheet1.xml")


@given(
    rows=st.lists(
        st.tuples(KEYS, NUMBERS, TEXTS, st.sampled_from([None, True, False])), min_size=1
    ),
    cut=st.integers(0, 5),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_what_the_library_makes_of_their_cells(
    tmp_path: Path, rows: list[tuple[Any, ...]], cut: int
) -> None:
    high = {index: 30.0 for index in range(0, len(rows), 3)}

    def cell_by_cell(sheet: Worksheet, style: Format, bold: Format) -> None:
        for number, (key, amount, text, flag) in enumerate(rows, 1):
            if number - 1 in high:
                sheet.set_row(number, high[number - 1])
            sheet.write_number(number, 0, key, style)
            if amount is not None and math.isfinite(amount):
                sheet.write_number(number, 1, float(amount), style)
            elif amount is not None:
                sheet.write_string(number, 1, str(amount))
            if text is not None:
                write_text(sheet, number, 2, text, bold)
            if flag is not None:
                sheet.write_boolean(number, 3, flag)
        # It counts only the columns that have a cell.
        sheet._check_dimensions(len(rows), 3)

    def by_columns(sheet: Worksheet, style: Format, bold: Format) -> None:
        made = Rows(sheet, 1, 4)
        number = made.number(style)
        texts = Cells(lambda text: made.cell(write_text, text, bold))
        flags = Cells(lambda flag: made.cell(Worksheet.write_boolean, flag))
        for start, part in ((0, rows[:cut]), (cut, rows[cut:])):
            if part:
                keys, amounts, words, booleans = zip(*part, strict=True)
                made.append(
                    [
                        *(list(map(number, column)) for column in (keys, amounts)),
                        texts.of(words),
                        flags.of(booleans),
                    ],
                    {i - start: h for i, h in high.items() if start <= i < start + len(part)},
                )

    assert written(tmp_path / "one.xlsx", by_columns) == written(
        tmp_path / "two.xlsx", cell_by_cell
    )


def test_no_more_cells_are_kept_than_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.formats.rows._KEPT", 3)
    asked: list[int] = []

    def make(key: int) -> str:
        asked.append(key)
        return str(key)

    cells = Cells(make)
    assert cells.of([1, 1, None, 2, 3, 4]) == ["1", "1", "", "2", "3", "4"]
    assert asked == [1, 2, 3, 4]
    assert len(cells) == 1
