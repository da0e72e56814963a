"""Reports as files: plain CSV unchanged, Spanish Excel's own dialect, texts in two languages."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import duckdb
import pyarrow.parquet as pq
import pytest

from flows.errors import WarehouseError, WrongUseError
from flows.formats.tables import write_csv
from flows.settings import SQL_FOLDER, Settings
from flows.tasks.report import FORMATS, report
from flows.texts import Texts
from flows.warehouse import open_published
from tests.flows.conftest import Warehouse
from tests.flows.test_cli import call

# What people may send that a spreadsheet would run, follow or misread.
NASTY = [
    "=1+1", "+525512345678", "-5", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1+1", '=HYPERLINK("http://x")',
    "http://example.com", "mailto:a@example.com", "internal:'Resumen'!A1", "<r>x</r>", "<r><t>&",
    "_x0041_", "bell\x07", "a;b,c", 'say "yes"', " leading", "0012", "1E5", "TRUE", "{=1}", "ñ 🙂",
]  # fmt: skip

# A warehouse as it is published, as far as reports need it.
_PUBLISHED = """
    create schema lake; create schema marts; create schema reports;
    create table lake.extractions as select
        'messages' as dataset, 'ok' as outcome, 'run-1' as run_id,
        timestamptz '2026-10-01 00:00:00+00' as window_start,
        timestamptz '2026-11-10 06:00:00+00' as window_end,
        timestamptz '2026-11-10 06:00:00+00' as read_at;
    create table lake.accounts as select 'AC1' as account_sid, '=Shop' as name,
        'active' as status, 'AC1' as owner_account_sid;
    create table lake.usage_records as select 'USD' as currency;
    create table lake.messages as select 'USD' as currency;
    create table marts.error_catalogue (error_code integer, title_en varchar, title_es varchar,
        remedy_en varchar, remedy_es varchar);
    insert into marts.error_catalogue values
        (1, 'Blocked', 'Bloqueado', 'Ask the carrier', 'Pregunte al operador'),
        (2, 'Off', 'Apagado', 'Wait', 'Espere'), (3, 'Apagado', 'Otro', 'Wait', 'Espere');
    create table reports.errors as select date '2026-11-09' as message_date, 1 as error_code,
        3::bigint as message_count, 0.25::double as share_of_attempted, 'Blocked' as title,
        'Ask the carrier' as remedy, false as is_blocked, true as is_settled;
    insert into reports.errors values
        ('2026-11-09', 2, 1, 1e-7, 'Off', 'Wait', null, false),
        ('2026-11-09', 9, 1, null, 'Not catalogued', null, null, false);
    comment on table reports.errors is 'One row per day and code.';
"""


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., Settings]:
    """Make a published file of some SQL; the settings to read it with."""

    def published(*statements: str, **settings: Any) -> Settings:
        (tmp_path / "data").mkdir()
        with duckdb.connect(str(tmp_path / "data" / "warehouse.duckdb")) as connection:
            for sql in (_PUBLISHED, *statements):
                connection.execute(sql)
        return Settings(data_root=tmp_path / "data", **settings)

    return published


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def nasty_report() -> str:
    """A report whose recipients are the nasty texts, one a row."""
    rows = ", ".join(f"({rank}, {literal(text)}, 0.5)" for rank, text in enumerate(NASTY))
    return (
        "create table reports.nasty (recipient_rank bigint, recipient varchar, "
        f"message_cost decimal(18, 6)); insert into reports.nasty values {rows}"
    )


def read_spanish(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, delimiter=";"))


def test_plain_csv_is_what_the_database_itself_writes(warehouse: Warehouse, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse.root / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        names = [
            name
            for (name,) in connection.execute(
                "select table_name from information_schema.tables where table_schema = 'reports'"
            ).fetchall()
        ]
        for name in names:
            connection.execute(f"copy (from reports.{name} order by all) to '{name}' (header)")
    written = {path.stem: path for path in (warehouse.root / "reports").glob("*.csv")}
    assert sorted(written) == sorted(names)
    for name, path in written.items():
        assert path.read_bytes() == Path(name).read_bytes()


def test_values_of_the_plain_csv_are_unchanged(publish: Callable[..., Settings]) -> None:
    settings = publish(nasty_report())
    report.fn(settings)
    content = (settings.reports / "nasty.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    assert [row["recipient"] for row in rows] == NASTY
    assert rows[0]["message_cost"] == "0.500000"
    assert pq.read_table(settings.reports / "nasty.parquet")["recipient"].to_pylist() == NASTY


def test_the_dialect_of_spanish_excel(publish: Callable[..., Settings]) -> None:
    settings = publish(
        "create table reports.all_kinds as select date '2026-11-09' as message_date, "
        "timestamp '2026-11-09 23:05:07' as message_hour, 1234567::bigint as message_count, "
        "-1234.5::decimal(18, 6) as message_cost, 0.000001234::double as delivery_rate, "
        "1e22::double as value, true as is_settled, null::varchar as currency, '' as recipient"
    )
    report.fn(settings, formats=["csv"], csv_dialect="excel-es")
    content = (settings.reports / "all_kinds.csv").read_bytes()
    assert content == (
        b"\xef\xbb\xbfmessage_date;message_hour;message_count;message_cost;delivery_rate;value;"
        b"is_settled;currency;recipient\r\n"
        b"09/11/2026;09/11/2026 23:05:07;1234567;-1234,500000;0,000001234;10000000000000000000000;"
        b"VERDADERO;;\r\n"
    )


def test_no_text_is_a_formula_in_the_dialect_of_spanish_excel(
    publish: Callable[..., Settings],
) -> None:
    settings = publish(nasty_report())
    report.fn(settings, formats=["csv"], csv_dialect="excel-es")
    written = [row["recipient"] for row in read_spanish(settings.reports / "nasty.csv")]
    assert [text.removeprefix("'") for text in written] == NASTY
    guarded = [text[1:] for text in written if text.startswith("'")]
    assert guarded == [text for text in NASTY if text[0] in "=+-@\t\r\n＝"]
    assert not [text for text in written if text[0] in "=+-@\t\r\n＝"]


def test_negative_amounts_stay_numbers_in_the_dialect(publish: Callable[..., Settings]) -> None:
    settings = publish("create table reports.costs as select -0.5::decimal(18, 6) as other_cost")
    report.fn(settings, formats=["csv"], csv_dialect="excel-es")
    assert read_spanish(settings.reports / "costs.csv") == [{"other_cost": "-0,500000"}]


@pytest.mark.parametrize(
    ("language", "titles", "remedies"),
    [
        ("en", ["Blocked", "Off", "Not catalogued"], ["Ask the carrier", "Wait", ""]),
        ("es", ["Bloqueado", "Apagado", "Not catalogued"], ["Pregunte al operador", "Espere", ""]),
    ],
)
def test_texts_are_exchanged_for_those_of_the_language(
    publish: Callable[..., Settings], language: str, titles: list[str], remedies: list[str]
) -> None:
    settings = publish()
    report.fn(settings, language=language)
    with (settings.reports / "errors.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["title"] for row in rows] == titles
    assert [row["remedy"] for row in rows] == remedies
    parquet = pq.read_table(settings.reports / "errors.parquet")
    assert parquet["title"].to_pylist() == titles


def test_the_language_of_the_settings_is_the_usual_one(publish: Callable[..., Settings]) -> None:
    settings = publish(language="es")
    report.fn(settings, formats=["csv"])
    assert "Pregunte al operador" in (settings.reports / "errors.csv").read_text()
    report.fn(settings, formats=["csv"], language="en")
    assert "Ask the carrier" in (settings.reports / "errors.csv").read_text()


def test_exactly_the_formats_asked_for_are_written(
    publish: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = publish()
    for formats in (["xlsx"], ["parquet", "csv"], list(FORMATS)):
        output = tmp_path / "-".join(formats)
        written = report.fn(settings, output, formats)
        wanted = {f"errors.{form}" for form in formats if form not in ("xlsx", "html")}
        wanted |= {"report.xlsx"} if "xlsx" in formats else set()
        assert {path.name for path in output.iterdir()} == wanted
        assert {path.name for entry in written for path in entry.paths} == wanted
        assert [entry.row_count for entry in written] == [3] * len(written)
    assert not settings.reports.exists()


@pytest.mark.parametrize(
    "choice", [{"formats": ["pdf"]}, {"language": "fr"}, {"csv_dialect": "excel"}]
)
def test_what_is_unknown_is_named_and_nothing_written(
    publish: Callable[..., Settings], choice: dict[str, Any]
) -> None:
    settings = publish()
    (wrong,) = choice.values()
    named = wrong if isinstance(wrong, str) else wrong[0]
    with pytest.raises(WrongUseError, match=f"{named}: choose from"):
        report.fn(settings, **choice)
    assert not settings.reports.exists()


def test_without_a_warehouse_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="run `twilio-warehouse run` first"):
        report.fn(Settings(data_root=tmp_path))


def test_the_command_takes_language_dialect_and_folder(
    publish: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = publish()
    environment = {"WAREHOUSE_DATA_ROOT": str(settings.root)}
    result = call(
        "report", "--language", "es", "--csv-dialect", "excel-es", "--output", "out",
        cwd=tmp_path, **environment,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "errors.csv", "errors.parquet", "report.xlsx",
    }  # fmt: skip
    assert "Pregunte al operador" in (tmp_path / "out" / "errors.csv").read_text("utf-8-sig")
    wrong = call("report", "--language", "fr", cwd=tmp_path, **environment)
    assert (wrong.returncode, "Unknown language fr" in wrong.stderr) == (2, True)


def test_every_text_is_in_both_languages() -> None:
    with (SQL_FOLDER / "seeds" / "texts.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    keys = [row["key"] for row in rows]
    assert keys == sorted(set(keys))
    assert not [row["key"] for row in rows if not (row["en"] and row["es"])]
    braces = [
        row["key"] for row in rows if _fields(row["en"]) != _fields(row["es"])
    ]  # fmt: skip
    assert braces == []


def _fields(text: str) -> set[str]:
    return {part.partition("}")[0] for part in text.split("{")[1:]}


def test_every_report_and_column_has_a_name_in_both_languages(warehouse: Warehouse) -> None:
    with duckdb.connect(str(warehouse.root / "warehouse.duckdb"), read_only=True) as connection:
        columns = connection.execute(
            "select table_name, column_name from information_schema.columns "
            "where table_schema = 'reports'"
        ).fetchall()
        published = connection.execute("select count(*) from marts.texts").fetchall()
    with (SQL_FOLDER / "seeds" / "texts.csv").open(newline="", encoding="utf-8") as file:
        keys = {row["key"] for row in csv.DictReader(file)}
    wanted = {f"report.{table}" for table, _ in columns}
    wanted |= {f"report.{table}.about" for table, _ in columns}
    wanted |= {f"column.{column}" for _, column in columns}
    assert wanted - keys == set()
    assert published == [(len(keys),)]


def test_what_has_no_text_is_shown_by_its_own_name() -> None:
    texts = Texts("es")
    assert texts.heading("moons_of_jupiter") == "Moons of jupiter"
    assert texts.title("weekly_moons") == "Weekly moons"
    assert texts.value("status", "shipped") == "shipped"
    assert texts.about("weekly_moons") is None


@pytest.mark.parametrize(
    ("language", "number", "percent", "day"),
    [("en", "1,234,567.50", "95.4%", "2026-11-09"), ("es", "1.234.567,50", "95,4 %", "09/11/2026")],
)
def test_numbers_and_dates_are_written_as_the_language_does(
    language: str, number: str, percent: str, day: str
) -> None:
    texts = Texts(language)
    assert texts.number(1234567.5, 2) == number
    assert texts.percent(0.9537) == percent
    assert texts.percent(None) == "–"
    assert texts.date(date(2026, 11, 9)) == day
    instant = datetime(2026, 11, 9, 3, 5, tzinfo=UTC)
    assert texts.instant(instant, ZoneInfo("America/Mexico_City")).endswith(" 21:05")


def test_two_reports_at_once_write_files_of_their_own(publish: Callable[..., Settings]) -> None:
    settings = publish(nasty_report())
    report.fn(settings)
    whole = {path.name: path.read_bytes() for path in settings.reports.iterdir()}
    names = set()

    def slow(connection: Any, relation: Any, path: Path) -> None:
        names.add(path.name)
        write_csv(connection, relation, path)
        if len(names) == 1:  # another begins, and ends, while this one writes
            report.fn(settings)
            assert path.exists()

    with patch("flows.tasks.report.write_csv", slow):
        report.fn(settings, formats=["csv"])
    assert len([name for name in names if name.startswith(".errors.csv.")]) == 2
    assert {path.name: path.read_bytes() for path in settings.reports.iterdir()} == whole


def test_what_could_not_be_written_leaves_nothing_behind(publish: Callable[..., Settings]) -> None:
    settings = publish()
    report.fn(settings, formats=["csv"])
    before = (settings.reports / "errors.csv").read_bytes()
    killed = settings.reports / ".errors.csv.0badcafe.writing"
    running = settings.reports / ".errors.csv.600dcafe.writing"
    for path in (killed, running):
        path.write_text("half")
    os.utime(killed, (0, 0))

    def failing(connection: Any, relation: Any, path: Path) -> None:
        path.write_text("half")
        raise OSError("No space left on device")

    with patch("flows.tasks.report.write_csv", failing), pytest.raises(OSError, match="No space"):
        report.fn(settings, formats=["csv"])
    assert (settings.reports / "errors.csv").read_bytes() == before
    assert [path.name for path in settings.reports.glob(".*")] == [running.name]


def test_without_anything_to_show_it_says_so(publish: Callable[..., Settings]) -> None:
    """Not even an empty page, and not by an error of its own."""
    settings = publish()
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("drop schema reports cascade; create schema reports")
        connection.execute("create table reports.index as select 1 as number")
        connection.execute("drop table if exists marts.page_run")
    with pytest.raises(WarehouseError, match="rebuild"):
        report.fn(settings, formats=["html"])
    assert not list(settings.reports.glob("*"))


def test_every_cursor_of_the_published_warehouse_is_in_utc(
    publish: Callable[..., Settings],
) -> None:
    with open_published(publish()) as connection:
        for one in (connection, connection.cursor()):
            assert one.execute("select current_setting('TimeZone')").fetchall() == [("UTC",)]
