"""Rows made of columns of cells are what XlsxWriter makes of them cell by cell."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from flows.formats.report_sheet import write_text
from flows.formats.rows import Cells, Rows, digits, texts_of

SHARED, SHARED_CELL = "xl/sharedStrings.xml", ' t="s"><v>'
KEYS = st.integers(0, 9)  # without any cell a row would not be there at all
NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
TEXTS = st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["<r>a</r>", " x ", "&<>\x01"]))


def written(path: Path, fill: Callable[[Worksheet, Format, Format], None]) -> str:
    """The XML of a sheet that has a heading and what is filled in with two formats, its texts
    written out in their cells."""
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
        xml = file.read("xl/worksheets/sheet1.xml").decode()
        if SHARED not in file.namelist():
            return xml
        shared = file.read(SHARED).decode()
    texts = re.findall("<si>(.*?)</si>", shared, re.DOTALL)
    assert len(texts) == len(set(texts))
    assert f' count="{xml.count(SHARED_CELL)}" uniqueCount="{len(texts)}"' in shared
    return re.sub(
        r't="s"><v>(\d+)</v>', lambda found: f't="inlineStr"><is>{texts[int(found[1])]}</is>', xml
    )


@given(
    rows=st.lists(
        st.tuples(KEYS, NUMBERS, TEXTS, st.sampled_from([None, True, False])), min_size=1
    ),
    cut=st.integers(0, 5),
)
@settings(
    max_examples=60,
    suppress_health_check=[
        *settings.default.suppress_health_check,
        HealthCheck.function_scoped_fixture,
    ],
)
def test_rows_are_what_the_library_makes_of_their_cells(
    tmp_path: Path, rows: list[tuple[Any, ...]], cut: int
) -> None:
    high = {index: 30.0 for index in range(0, len(rows), 3)}

    def cell_by_cell(sheet: Worksheet, style: Format, bold: Format) -> None:
        for number, (key, amount, text, flag) in enumerate(rows, 1):
            if number - 1 in high:
                sheet.set_row(number, high[number - 1])
            sheet.write_number(number, 0, key, style)
            if amount is not None:
                sheet.write_number(number, 1, amount, style)
            if text is not None:
                write_text(sheet, number, 2, text, bold)
            if flag is not None:
                sheet.write_boolean(number, 3, flag)
        # It counts only the columns that have a cell.
        sheet._check_dimensions(len(rows), 3)

    def by_columns(sheet: Worksheet, style: Format, bold: Format) -> None:
        made = Rows(sheet, 1, 4)
        before, after = made.around_number(style)
        texts = Cells(lambda text: text if text is None else made.cell(write_text, text, bold))
        flags = Cells(
            lambda flag: flag if flag is None else made.cell(Worksheet.write_boolean, flag)
        )
        for start, part in ((0, rows[:cut]), (cut, rows[cut:])):
            keys, amounts, words, booleans = zip(*part, strict=True) if part else [()] * 4
            made.append(
                [
                    pc.binary_join_element_wise(before, digits(numbers), after, "")
                    for numbers in (pa.array(keys, pa.int64()), pa.array(amounts, pa.float64()))
                ]
                + [texts_of(texts[word] for word in words)]
                + [texts_of(flags[flag] for flag in booleans)],
                {i - start: h for i, h in high.items() if start <= i < start + len(part)},
            )

    ours, theirs = (written(tmp_path / "sheet.xlsx", fill) for fill in (by_columns, cell_by_cell))
    # It writes sixteen digits of a number, of which a double may have seventeen.
    value = re.compile("<v>([^<]*)</v>")
    assert value.sub("", ours) == value.sub("", theirs)
    amounts = [row[1] for row in rows if row[1] is not None]
    numbers = [float(text) for text in value.findall(ours)]
    assert all(amount in numbers for amount in amounts)
    assert [f"{number:.16G}" for number in numbers] == value.findall(theirs)


def test_numbers_are_exact() -> None:
    money = pa.array([None, Decimal("-0.007500"), Decimal("120.000000"), Decimal("0.000001")])
    assert digits(money).to_pylist() == [None, "-0.0075", "120", "0.000001"]
    assert digits(pa.array([10, 0, 2**60])).to_pylist() == ["10", "0", f"{2**60}"]
    small = pa.array([Decimal("1E-10"), Decimal("-2E-10"), Decimal("1.5")], pa.decimal128(38, 10))
    assert [Decimal(text) for text in digits(small).to_pylist()] == small.to_pylist()
    assert digits(pa.array([Decimal(100)], pa.decimal128(38, 0))).to_pylist() == ["100"]
    doubles = [0.1 + 0.2, 1e-7, 5.0, math.pi * 1e200]
    assert [float(text) for text in digits(pa.array(doubles)).to_pylist()] == doubles


def test_no_more_cells_are_kept_than_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.formats.rows._KEPT", 3)
    asked: list[int] = []

    def make(key: int) -> str:
        asked.append(key)
        return str(key)

    cells = Cells(make)
    assert [cells[key] for key in (1, 1, 2, 3, 4)] == ["1", "1", "2", "3", "4"]
    assert asked == [1, 2, 3, 4]
    assert len(cells) == 1


def test_no_more_texts_are_shared_than_memory_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.formats.rows._KEPT", 2)
    path = tmp_path / "sheet.xlsx"
    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    rows = Rows(workbook.add_worksheet(), 0, 1)
    words = ["one", "two", "three", "one", "three", "one"]
    rows.append([texts_of(rows.cell(Worksheet.write_string, word) for word in words)], {})
    workbook.close()
    with zipfile.ZipFile(path) as file:
        xml, shared = (file.read(name).decode() for name in ("xl/worksheets/sheet1.xml", SHARED))
    assert re.findall("<t>(.*?)</t>", shared) == ["one", "two"]
    assert re.findall("<t>(.*?)</t>", xml) == ["three", "one", "three", "one"]
