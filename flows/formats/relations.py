"""The relations of schema `reports`, what kind of value each column holds, and their texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import duckdb

from flows.texts import LANGUAGES, Texts

Kind = Literal[
    "boolean", "code", "date", "datetime", "integer", "money", "month", "number", "rate", "text"
]  # fmt: skip
_MONEY = "DECIMAL(18,6)"
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UINTEGER", "UBIGINT"}


@dataclass(frozen=True)
class Column:
    """One column: its name and what its values are to a reader."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Kpi:
    """How a KPI is shown.

    Attributes:
        unit: what it is measured in: messages, share (0 to 1), seconds or money.
        position: its place when all are shown.
    """

    unit: str
    position: int


@dataclass(frozen=True)
class Relation:
    """One relation of schema `reports`.

    Attributes:
        name: its name.
        columns: its columns in order.
        row_count: how many rows it has.
        select: the query of all its rows, texts in the language asked for, in no order.
        comment: what a row is, in English, as commented in the database.
    """

    name: str
    columns: tuple[Column, ...]
    row_count: int
    select: str
    comment: str

    def column(self, name: str) -> int | None:
        """Where a column stands; None if there is none of that name."""
        names = [column.name for column in self.columns]
        return names.index(name) if name in names else None


def read_relations(connection: duckdb.DuckDBPyConnection, texts: Texts) -> list[Relation]:
    """Every relation of schema `reports` by name, its texts exchanged for those of the language.

    The published file holds texts in both languages: columns `<name>_en` and `<name>_es` of a
    relation in `marts` are what a report's column `<name>` may show.
    """
    exchanged = _collect_texts(connection, texts.language)
    names = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'reports' "
        "order by all"
    ).fetchall()
    return [_relation(connection, name, exchanged) for (name,) in names]


def read_titles(connection: duckdb.DuckDBPyConnection, texts: Texts) -> dict[str, dict[str, str]]:
    """For each key of a relation in `marts` that has titles, the title of each value.

    So a `cost_category` is shown by the title its `category` has in the seed.
    """
    keys = connection.execute(
        "select titled.table_name, min_by(columns.column_name, columns.ordinal_position) "
        "from information_schema.columns as titled "
        "join information_schema.columns as columns using (table_schema, table_name) "
        "where table_schema = 'marts' and titled.column_name = 'title_en' group by all order by all"
    ).fetchall()
    return {
        key: dict(
            connection.execute(
                f"select {key}::varchar, title_{texts.language} from marts.{table} "
                f"where title_{texts.language} is not null"
            ).fetchall()
        )
        for table, key in keys
    }


def read_kpis(connection: duckdb.DuckDBPyConnection) -> dict[str, Kpi]:
    """What seed `kpis` says of each KPI; nothing if the warehouse has no such seed."""
    columns = connection.execute(
        "select column_name from information_schema.columns "
        "where table_schema = 'marts' and table_name = 'kpis'"
    ).fetchall()
    if not {("kpi",), ("unit",), ("position",)} <= set(columns):
        return {}
    rows = connection.execute("select kpi, unit, position from marts.kpis").fetchall()
    return {kpi: Kpi(unit, position) for kpi, unit, position in rows}


def titles_of(column: str, titles: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """The titles a column's values have: those of the key it is named after, if there is one."""
    for key, found in titles.items():
        if column == key or column.endswith(f"_{key}"):
            return found
    return {}


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def _relation(
    connection: duckdb.DuckDBPyConnection, name: str, exchanged: frozenset[str]
) -> Relation:
    described = connection.execute(f"describe reports.{quoted(name)}").fetchall()
    columns = tuple(Column(column, _kind(column, kind)) for column, kind, *_ in described)
    shown = ", ".join(
        _exchanged(column.name)
        if column.kind == "text" and column.name in exchanged
        else quoted(column.name)
        for column in columns
    )
    ((row_count,),) = connection.execute(f"select count(*) from reports.{quoted(name)}").fetchall()
    comments = connection.execute(
        "select comment from duckdb_tables() where schema_name = 'reports' and table_name = $1 "
        "union all "
        "select comment from duckdb_views() where schema_name = 'reports' and view_name = $1",
        [name],
    ).fetchall()
    comment = comments[0][0] if comments and comments[0][0] else ""
    return Relation(
        name, columns, row_count, f"select {shown} from reports.{quoted(name)} as shown", comment
    )


def _kind(name: str, kind: str) -> Kind:
    """What a column's values are, by its type and the words its name is made of."""
    if kind == "BOOLEAN":
        return "boolean"
    if kind == "DATE":
        return "month" if name == "month" else "date"
    if kind.startswith("TIMESTAMP"):
        return "datetime"
    if kind in _INTEGERS:
        return "code" if name.endswith("_code") else "integer"
    if kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL"):
        if name.endswith("_rate") or name.startswith("share_"):
            return "rate"
        is_cost = name.startswith("cost_") or name.endswith("_cost")
        return "money" if kind == _MONEY or is_cost else "number"
    return "text"


def _collect_texts(connection: duckdb.DuckDBPyConnection, language: str) -> frozenset[str]:
    """Put every text that has two languages into temporary table `shown_texts`; their columns."""
    connection.execute(
        "create or replace temporary table shown_texts "
        "(column_name varchar, found varchar, wanted varchar)"
    )
    pairs = connection.execute(
        "select en.table_name, substr(en.column_name, 1, length(en.column_name) - 3) as base "
        "from information_schema.columns as en join information_schema.columns as es "
        "using (table_schema, table_name) where table_schema = 'marts' "
        "and en.column_name like '%\\_en' escape '\\' and es.column_name = base || '_es' "
        "order by all"
    ).fetchall()
    for table, base in pairs:
        for found in LANGUAGES:
            connection.execute(
                f"insert into shown_texts select distinct '{base}', {base}_{found}, "
                f"{base}_{language} from marts.{table}"
            )
    return frozenset(base for _, base in pairs)


def _exchanged(column: str) -> str:
    # A text that is right already stays, even if it is also a text of the other language.
    return (
        "coalesce((select min_by(wanted, found <> wanted) from shown_texts "
        f"where column_name = '{column}' and found = shown.{quoted(column)}), {quoted(column)}) "
        f"as {quoted(column)}"
    )
