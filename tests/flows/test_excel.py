"""The workbook: typed cells that equal the CSV, text that stays text, nothing cut in silence."""

from __future__ import annotations

import csv
import math
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook
from openpyxl.cell import Cell
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from flows.formats.relations import read_relations
from flows.formats.report_sheet import extent_of, fitting
from flows.formats.workbook import SheetNames
from flows.settings import SQL_FOLDER, Settings
from flows.tasks.report import report
from flows.texts import Texts
from tests.flows.conftest import NOW, Warehouse
from tests.flows.test_report import NASTY, nasty_report, publish

__all__ = ["publish"]

SOFFICE = shutil.which("soffice")


def sheets_of(settings: Settings, **options: Any) -> Workbook:
    report.fn(settings, formats=["xlsx"], **options)
    return load_workbook(settings.reports / "report.xlsx")


def rows_of(sheet: Worksheet) -> list[tuple[Any, ...]]:
    return list(sheet.iter_rows(min_row=2, values_only=True))


def headed(sheet: Worksheet, heading: str) -> Cell:
    """The first cell below a heading."""
    (found,) = [cell for cell in sheet[1] if cell.value == heading]
    below = sheet.cell(2, found.column)
    assert isinstance(below, Cell)
    return below


def titles_in_seed(seed: str, key: str) -> dict[str, str]:
    """What a seed calls each of its keys, in English."""
    with (SQL_FOLDER / "seeds" / f"{seed}.csv").open(newline="", encoding="utf-8") as file:
        return {row[key]: row["title_en"] for row in csv.DictReader(file)}


def test_every_cell_equals_the_csv_and_has_its_type(warehouse: Warehouse) -> None:
    texts = Texts("en")
    book = load_workbook(warehouse.root / "reports" / "report.xlsx")
    names = [path.stem for path in sorted((warehouse.root / "reports").glob("*.csv"))]
    assert book.sheetnames == ["Summary", *(texts.title(name) for name in names)]
    shown = {
        "cost_category": {"other": "Other", **titles_in_seed("usage_categories", "category")},
        "kpi": titles_in_seed("kpis", "kpi"),
    }
    kinds: set[type] = set()
    for name in names:
        sheet = book[texts.title(name)]
        with (warehouse.root / "reports" / f"{name}.csv").open(newline="") as file:
            heads, *lines = csv.reader(file)
        assert [cell.value for cell in sheet[1]] == [texts.heading(head) for head in heads]
        for number, (row, line) in enumerate(zip(rows_of(sheet), lines, strict=True)):
            for head, cell, written in zip(heads, row, line, strict=True):
                wanted = shown.get(head, {}).get(written, written)
                kinds.add(type(cell))
                assert as_written(cell, wanted, texts, head), f"{name} {number} {head}: {cell!r}"
    assert kinds >= {int, float, str, bool, datetime, type(None)}


def as_written(cell: Any, written: str, texts: Texts, head: str) -> bool:
    """Whether a typed cell is what the CSV has."""
    if cell is None:
        return written == ""
    if isinstance(cell, bool):
        return written == ("true" if cell else "false")
    if isinstance(cell, int | float):
        return math.isclose(cell, float(written), rel_tol=1e-15)  # it keeps 16 digits
    if isinstance(cell, datetime):
        return abs(cell - datetime.fromisoformat(written)).total_seconds() < 0.001
    return bool(cell == texts.value(head, written))


def test_cells_look_like_what_they_are(warehouse: Warehouse) -> None:
    book = load_workbook(warehouse.root / "reports" / "report.xlsx")
    texts = Texts("en")

    def look(name: str, column: str) -> str:
        return headed(book[texts.title(name)], texts.heading(column)).number_format

    assert look("daily_volume", "message_date") == "yyyy-mm-dd"
    assert look("hourly_delivery_rate", "message_hour") == "yyyy-mm-dd hh:mm"
    assert look("hourly_delivery_rate", "delivery_rate") == "0.0%"
    assert look("monthly_cost", "month") == "[$-409]mmm yyyy"
    assert look("monthly_cost", "cost") == "#,##0.00 [$USD]"
    assert look("top_recipients", "message_cost") == "#,##0.0000 [$USD]"
    assert look("daily_volume", "message_count") == "#,##0"
    for sheet in book.worksheets[1:]:
        assert sheet.freeze_panes == "A2"
        last = sheet.cell(sheet.max_row, sheet.max_column).coordinate
        assert sheet.auto_filter.ref == f"A1:{last}"
        widths = [sheet.column_dimensions[cell.column_letter].width for cell in sheet[1]]
        assert min(widths) >= 8
        assert max(widths) <= 61


def test_the_first_sheet_says_what_it_is_from(warehouse: Warehouse) -> None:
    sheet = load_workbook(warehouse.root / "reports" / "report.xlsx").worksheets[0]
    facts = {row[0].value: row[1].value for row in sheet.iter_rows(max_col=2)}
    assert facts["Messages read until"] == NOW.replace(tzinfo=None)
    assert facts["As of (last run)"] == NOW.replace(tzinfo=None)
    assert facts["Time zone of days and hours"] == "UTC"
    assert str(facts["Run"]).startswith("daily-2026")
    with (warehouse.root / "reports" / "daily_volume.csv").open() as file:
        assert facts["Daily volume"] == len(file.readlines()) - 1
    assert facts[warehouse.server.account_sid] == "Tienda Ejemplo"


def test_the_same_warehouse_gives_the_same_bytes(publish: Callable[..., Settings]) -> None:
    settings = publish()
    report.fn(settings, formats=["xlsx"])
    first = (settings.reports / "report.xlsx").read_bytes()
    report.fn(settings, formats=["xlsx"])
    assert (settings.reports / "report.xlsx").read_bytes() == first


def test_no_text_becomes_a_formula_or_a_link(publish: Callable[..., Settings]) -> None:
    settings = publish(nasty_report())
    book = sheets_of(settings)
    sheet = book["Nasty"]
    cells = [row[1] for row in sheet.iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} <= {"s", "inlineStr"}
    # How openpyxl reads a control character and Excel's own escape of it is not its text.
    odd = {"\rx", "bell\x07", "_x0041_"}
    pairs = list(zip([cell.value for cell in cells], NASTY, strict=True))
    assert [found for found, text in pairs if text not in odd] == [
        text for text in NASTY if text not in odd
    ]
    with zipfile.ZipFile(settings.reports / "report.xlsx") as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    for name, content in parts.items():
        assert "<f>" not in content, name
        assert "<hyperlink" not in content, name
        assert 'TargetMode="External"' not in content, name
    assert "bell_x0007_" in parts["xl/sharedStrings.xml"]
    assert "_x005F_x0041_" in parts["xl/sharedStrings.xml"]
    assert ("=Shop",) in [row[1:2] for row in book["Summary"].iter_rows(values_only=True)]


def test_a_text_longer_than_a_cell_is_cut_where_it_says_so(
    publish: Callable[..., Settings],
) -> None:
    settings = publish(
        "create table reports.long_texts as select * from (values (1::bigint, repeat('a', 32767)), "
        "(2, repeat('b', 32768)), (3, repeat('🙂', 20000))) as rows (recipient_rank, recipient)"
    )
    book = sheets_of(settings)
    texts = [row[1] for row in rows_of(book["Long texts"])]
    assert texts[0] == "a" * 32767
    assert texts[1] == "b" * 32766 + "…"
    assert texts[2] == "🙂" * 16383 + "…"
    assert len(texts[2].encode("utf-16-le")) <= 2 * 32767
    notes = [row[0] for row in book["Summary"].iter_rows(values_only=True)]
    assert (
        "2 texts are longer than an Excel cell can hold and end in …; they are whole in "
        "long_texts.parquet and in table reports.long_texts of warehouse.duckdb."
    ) in notes
    assert fitting("short") == "short"


HOURS = (
    "create table reports.hours as select hour::timestamp as message_hour, 1::bigint as "
    "message_count from range(timestamp '2025-01-01', timestamp '2026-11-10', interval 1 hour) "
    "as hours (hour)"
)


def test_a_long_report_holds_the_newest_months_and_says_so(
    publish: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.formats.report_sheet.extent_of.__kwdefaults__", {
        "long_rows": 2000, "most_rows": 1_048_574,
    })  # fmt: skip
    settings = publish(HOURS)
    sheet = sheets_of(settings)["Hours"]
    hours = [row[0] for row in sheet.iter_rows(min_row=3, values_only=True)]
    # With August they would be more than 2,000.
    assert (hours[0], hours[-1]) == (datetime(2026, 9, 1), datetime(2026, 11, 9, 23))
    assert len(hours) == (datetime(2026, 11, 10) - datetime(2026, 9, 1)).days * 24 <= 2000
    left_out = (datetime(2026, 9, 1) - datetime(2025, 1, 1)).days * 24
    assert sheet["A1"].value == (
        f"This sheet holds the newest months, from 2026-09-01 on; {left_out:,} earlier rows are "
        "in hours.parquet and in table reports.hours of warehouse.duckdb."
    )
    assert sheet["A2"].value == "Hour"
    assert sheet.freeze_panes == "A3"
    assert sheet.auto_filter.ref == f"A2:B{sheet.max_row}"


def test_no_more_rows_than_excel_holds_and_the_newest_of_them(
    publish: Callable[..., Settings],
) -> None:
    settings = publish(
        HOURS, "create table reports.ranks as select range as recipient_rank from range(50)"
    )
    texts = Texts("es")
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        hours, ranks = (
            relation
            for relation in read_relations(connection, texts)
            if relation.name in ("hours", "ranks")
        )
        # The newest month is there, however long it is.
        newest = extent_of(connection, hours, texts, long_rows=100, most_rows=24)
        assert connection.execute(newest.select).fetchmany(1) == [(datetime(2026, 11, 9), 1)]
        assert newest.row_count == 24
        assert newest.note is not None
        assert "los meses más recientes, desde 01/11/2026; 16.056 filas" in newest.note
        assert "las 24 más recientes; 192 filas anteriores" in newest.note
        first = extent_of(connection, ranks, texts, long_rows=10, most_rows=20)
        assert [row[0] for row in connection.execute(first.select).fetchall()] == list(range(20))
        assert first.note is not None
        assert "estas son las 20 primeras; hay 30 filas más en ranks.parquet" in first.note
        whole = extent_of(connection, ranks, texts, long_rows=10, most_rows=50)
        assert (whole.row_count, whole.note) == (50, None)


def test_booleans_beside_empty_cells_stay_booleans(publish: Callable[..., Settings]) -> None:
    """LibreOffice shows these as 0 and 1 unless their format is the one it knows."""
    settings = publish()
    sheet = sheets_of(settings)["Errors"]
    (heading,) = [cell for cell in sheet[1] if cell.value == "Blocked"]
    cells = [sheet.cell(number, heading.column) for number in (2, 3, 4)]
    assert [cell.value for cell in cells] == [False, None, None]
    assert cells[0].number_format == '"TRUE";"TRUE";"FALSE"'


def test_an_empty_report_is_a_sheet_of_headings(publish: Callable[..., Settings]) -> None:
    settings = publish(
        "create table reports.nothing (message_date date, message_count bigint, recipient varchar)"
    )
    sheet = sheets_of(settings)["Nothing"]
    assert list(sheet.iter_rows(values_only=True)) == [("Day", "Messages", "Recipient")]
    assert sheet.freeze_panes == "A2"


def test_sheet_names_are_such_as_excel_takes() -> None:
    names = SheetNames()
    assert names.take("Cost: [all] / 2026?") == "Cost   all    2026"
    assert names.take("'quoted'") == "quoted"
    assert names.take("a" * 40) == "a" * 31
    assert names.take("A" * 40) == "A" * 29 + " 2"
    assert names.take("History") == "History 2"
    assert names.take("///") == "-"


KPIS = """
    create table marts.kpis (kpi varchar, position integer, unit varchar, title_en varchar,
        title_es varchar);
    insert into marts.kpis values
        ('delivery_rate', 2, 'share', 'Delivery rate', 'Tasa de entrega'),
        ('total_cost', 1, 'money', 'Spending', 'Gasto');
    create table reports.kpis (period_start date, period varchar, account_sid varchar, kpi varchar,
        value double, goal double, comparison varchar, is_met boolean, numerator double,
        denominator double, is_settled boolean);
    insert into reports.kpis values
        ('2026-11-10', 'day', 'all', 'delivery_rate', 0.5, 0.95, '>', false, 1, 2, false),
        ('2026-11-09', 'day', 'all', 'delivery_rate', 0.97, 0.95, '>', true, 97, 100, true),
        ('2026-11-09', 'day', 'AC1', 'delivery_rate', 0.1, 0.95, '>', false, 1, 10, true),
        ('2026-11-08', 'day', 'all', 'delivery_rate', 0.2, 0.95, '>', false, 2, 10, true),
        ('2026-11-01', 'month', 'all', 'total_cost', 120.5, 100, '<=', false, 120.5, null, false),
        ('2026-10-01', 'month', 'all', 'total_cost', 80.25, 100, '<=', true, 80.25, null, true),
        ('2026-10-01', 'month', 'all', 'delivery_rate', 1, 0.95, '>', null, 1, 1, true),
        ('2026-09-01', 'month', 'all', 'total_cost', 1, null, null, null, 1, null, true);
"""


def test_the_first_sheet_shows_the_key_figures(publish: Callable[..., Settings]) -> None:
    settings = publish(KPIS)
    book = sheets_of(settings, language="es")
    sheet = book["Resumen"]
    lines = [row[:6] for row in sheet.iter_rows(values_only=True)]
    shown = [line for line in lines if line[1] == "todas"]
    assert shown == [
        ("Tasa de entrega", "todas", 0.97, 0.95, "cumplido", True),
        ("Gasto", "todas", 120.5, 100, "no cumplido", False),
        ("Gasto", "todas", 80.25, 100, "cumplido", True),
        ("Tasa de entrega", "todas", 1, 0.95, "muy pocos para juzgar", True),
    ]
    starts = [line[1] for line in lines if str(line[0]).startswith("Indicadores del")]
    assert starts == [datetime(2026, 11, 9), datetime(2026, 11, 1), datetime(2026, 10, 1)]
    formats = {
        row[0].value: (row[2].number_format, row[3].number_format)
        for row in sheet.iter_rows()
        if row[1].value == "todas"
    }
    assert formats == {
        "Tasa de entrega": ("0.0 %", '"> "0.0 %'),
        "Gasto": ("#,##0.00 [$USD]", '"<= "#,##0.00'),
    }
    values = {
        row[3].value: row[4].number_format for row in book["Indicadores"].iter_rows(min_row=2)
    }
    assert values == {"Tasa de entrega": "0.0 %", "Gasto": "#,##0.00 [$USD]"}


def test_amounts_of_each_account_have_its_own_currency(publish: Callable[..., Settings]) -> None:
    settings = publish(
        KPIS,
        "create table marts.account_scopes as select * from (values ('all EUR', 'AC1', 'EUR'), "
        "('all USD', 'AC2', 'USD'), ('AC1', 'AC1', 'EUR'), ('AC2', 'AC2', 'USD')) "
        "as t (scope, account_sid, currency)",
        "insert into lake.usage_records values ('EUR')",
        "delete from reports.kpis; insert into reports.kpis (period_start, period, account_sid, "
        "kpi, value) select date '2026-11-01', 'month', unnest(['all EUR', 'all USD', 'AC2']), "
        "'total_cost', 120.5",
        "create table reports.spendings as select 'AC2' as account_sid, "
        "1.5::decimal(18, 6) as message_cost",
    )
    book = sheets_of(settings, language="es")
    looks = {
        row[1].value: row[2].number_format
        for row in book["Resumen"].iter_rows()
        if row[0].value == "Gasto"
    }
    assert looks == {"todas EUR": "#,##0.00 [$EUR]", "todas USD": "#,##0.00 [$USD]"}
    rows = book["Indicadores"].iter_rows(min_row=2)
    assert {row[2].value: row[4].number_format for row in rows} == {
        **looks,
        "AC2": "#,##0.00 [$USD]",
    }
    assert book["Spendings"]["B2"].number_format.endswith("[$USD]")


def test_a_spanish_workbook_is_spanish(warehouse: Warehouse, tmp_path: Path) -> None:
    with warehouse.active():
        report.fn(Settings(), tmp_path, ["xlsx"], language="es")
    book = load_workbook(tmp_path / "report.xlsx")
    assert book.sheetnames[0] == "Resumen"
    assert "Principales destinatarios" in book.sheetnames
    volume = book["Volumen diario"]
    assert [cell.value for cell in volume[1]][:4] == ["Día", "Cuenta", "Canal", "Sentido"]
    assert headed(volume, "Día").number_format == "dd/mm/yyyy"
    assert {row[3] for row in rows_of(volume)} == {"entrante", "saliente", "desconocido"}
    assert "Tarifas de plantillas de WhatsApp (Meta)" in {
        row[2] for row in rows_of(book["Coste mensual"])
    }
    assert headed(book["Entrega por hora"], "Tasa de entrega").number_format == "0.0 %"


@pytest.mark.skipif(
    SOFFICE is None, reason="LibreOffice is not installed: apt install libreoffice-calc-nogui"
)
def test_libreoffice_opens_it_with_the_right_values_and_types(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    path = warehouse.root / "reports" / "report.xlsx"
    # Text in quotes and values as they are stored, so that the file shows what is which.
    raw = convert(path, tmp_path / "raw", "44,34,76,1,,1033,true,true,false,false,false,-1")
    texts = Texts("en")
    for source in (warehouse.root / "reports").glob("*.csv"):
        lines = (raw / f"report-{texts.title(source.stem)}.csv").read_text().splitlines()
        with source.open(newline="") as file:
            rows = list(csv.DictReader(file))
        kinds = pq.read_schema(source.with_suffix(".parquet"))
        assert len(lines) == len(rows) + 1
        assert lines[0] == ",".join(f'"{texts.heading(name)}"' for name in rows[0])
        for line, row in zip(lines[1:], rows, strict=True):
            cells = re.findall(r'("(?:[^"]|"")*"|[^,]*)(?:,|$)', line)
            for (name, written), cell in zip(row.items(), cells, strict=False):
                kind = kinds.field(name).type
                assert is_stored_as(cell, kind, written), f"{source.stem} {name}: {cell!r}"
    # As it is shown to a reader.
    shown = convert(path, tmp_path / "shown", "44,34,76,1,,1033,false,true,true,false,false,-1")
    with (shown / "report-Monthly cost.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert re.fullmatch(r"(Sep|Oct) 2026", row["Month"])
    assert re.fullmatch(r"[\d,]+\.\d\d USD", row["Cost"])
    with (shown / "report-Delivery by hour.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert re.fullmatch(r"2026-\d\d-\d\d \d\d:00", row["Hour"])
    assert re.fullmatch(r"\d+\.\d%", row["Delivery rate"])


def convert(path: Path, folder: Path, options: str) -> Path:
    """Every sheet as a CSV, made by LibreOffice; without traces in anybody's profile."""
    subprocess.run(
        [
            str(SOFFICE), f"-env:UserInstallation=file://{folder}/profile", "--headless",
            "--convert-to", f"csv:Text - txt - csv (StarCalc):{options}",
            "--outdir", folder, path,
        ],
        check=True, capture_output=True, timeout=180,
    )  # fmt: skip
    return folder


def is_stored_as(cell: str, kind: pa.DataType, written: str) -> bool:
    """Whether LibreOffice holds a cell of the type and value that the report has."""
    if written == "":
        return cell == ""
    if pa.types.is_boolean(kind):
        return cell == written.upper()
    if pa.types.is_string(kind):
        return cell.startswith('"') and cell.endswith('"')
    if pa.types.is_date(kind):
        return to_date(cell) == date.fromisoformat(written)
    if pa.types.is_timestamp(kind):
        day, time = cell.split()
        return f"{to_date(day)} {time}" == written[:19]
    if cell.endswith("%"):  # of a percentage it writes what is shown
        return abs(float(cell[:-1]) / 100 - float(written)) < 0.01
    return float(cell) == pytest.approx(float(written), abs=1e-9)


def to_date(shown: str) -> date:
    """LibreOffice's own way to write a day: of the cell's language, or as it is formatted."""
    for form in ("%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y"):
        try:
            return datetime.strptime(shown, form).date()
        except ValueError:
            continue
    raise ValueError(shown)
