"""The warehouse's definitions for rows that are in no warehouse: its SQL, run in memory.

What counts as delivered, what a channel is, what an error means: sql/ says it once, and what is
asked of Twilio live is judged by the same files.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pyarrow as pa

from flows.settings import SQL_FOLDER

_SCHEMA = "marts"


def define(
    connection: duckdb.DuckDBPyConnection, name: str, lake: dict[str, pa.Table], timezone: str
) -> str:
    """Make a model or seed of sql/ a relation of this connection, and what it refers to.

    Args:
        lake: the rows of each table of schema `lake` the model reads.
        timezone: the report time zone.

    Returns:
        The relation's full name.

    Raises:
        KeyError: there is no such model or seed.
    """
    connection.execute(f"create schema if not exists {_SCHEMA}")
    full_name = f"{_SCHEMA}.{name}"
    file = _file_of(name)
    if file.suffix == ".csv":
        connection.execute(
            f"create table if not exists {full_name} as from "
            "read_csv($1, header = true, delim = ',', quote = '\"', escape = '\"')",
            [str(file)],
        )
        return full_name
    variables = {"timezone": timezone}
    # As with dbt, macros are there for every model.
    files = [*sorted(SQL_FOLDER.glob("macros/*.sql")), file]
    text = "".join(path.read_text("utf-8") for path in files)
    sql = jinja2.Environment(autoescape=False).from_string(text)  # noqa: S701
    select = sql.render(
        ref=partial(define, connection, lake=lake, timezone=timezone),
        source=partial(_source, connection, lake),
        var=lambda variable, default=None: variables.get(variable, default),
        config=lambda **options: "",
        is_incremental=lambda: False,
    )
    connection.execute(f"create or replace view {full_name} as {select}")
    return full_name


def _source(
    connection: duckdb.DuckDBPyConnection, lake: dict[str, pa.Table], schema: str, table: str
) -> str:
    connection.execute(f"create schema if not exists {schema}")
    connection.register("given", lake[table])
    connection.execute(f"create table if not exists {schema}.{table} as from given")
    connection.unregister("given")
    return f"{schema}.{table}"


def _file_of(name: str) -> Path:
    for pattern in (f"seeds/{name}.csv", f"models/**/{name}.sql"):
        for path in SQL_FOLDER.glob(pattern):
            return path
    raise KeyError(name)


def rows_of(result: Any) -> list[dict[str, Any]]:
    """The rows of an executed query, by column name."""
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
