"""Reports as files of one table each: CSV for programs, CSV for Spanish Excel, Parquet."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from flows.formats.relations import Relation

DIALECTS = ("plain", "excel-es")
_ROWS_AT_ONCE = 10_000
# Excel runs a cell that begins like a formula; the last four are the same signs in full width
# (owasp.org/www-community/attacks/CSV_Injection).
_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


def write_csv(connection: duckdb.DuckDBPyConnection, relation: Relation, path: Path) -> None:
    """Comma, point, ISO dates, UTF-8, values as they are."""
    _copy(connection, relation, path, "format csv, header")


def write_parquet(connection: duckdb.DuckDBPyConnection, relation: Relation, path: Path) -> None:
    """Typed and compressed."""
    _copy(connection, relation, path, "format parquet, compression zstd")


def write_spanish_csv(
    connection: duckdb.DuckDBPyConnection, relation: Relation, path: Path
) -> None:
    """A CSV that Excel in Spanish opens by a double click: semicolon, decimal comma, BOM, CRLF.

    Text that would be a formula gets an apostrophe in front.
    """
    cells = [_cell_of(column.kind) for column in relation.columns]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\r\n")
        writer.writerow([column.name for column in relation.columns])
        result = connection.execute(f"from ({relation.select}) order by all")
        while rows := result.fetchmany(_ROWS_AT_ONCE):
            writer.writerows(
                [
                    "" if value is None else cell(value)
                    for cell, value in zip(cells, row, strict=True)
                ]
                for row in rows
            )


def _copy(
    connection: duckdb.DuckDBPyConnection, relation: Relation, path: Path, options: str
) -> None:
    target = str(path).replace("'", "''")
    connection.execute(f"copy (from ({relation.select}) order by all) to '{target}' ({options})")


def _cell_of(kind: str) -> Callable[[Any], str]:
    """How values of a kind are written for Spanish Excel."""
    writers: dict[str, Callable[[Any], str]] = {
        "boolean": lambda value: "VERDADERO" if value else "FALSO",
        "date": _spanish_date,
        "month": _spanish_date,
        "datetime": _spanish_instant,
        "text": _guarded,
    }
    return writers.get(kind, _spanish_number)


def _spanish_date(value: date) -> str:
    return f"{value:%d/%m/%Y}"


def _spanish_instant(value: datetime) -> str:
    return f"{value:%d/%m/%Y %H:%M:%S}"


def _spanish_number(value: int | float | Decimal) -> str:
    # Through Decimal: the shortest digits of a float, and never an exponent.
    return f"{Decimal(str(value)):f}".replace(".", ",")


def _guarded(value: Any) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
