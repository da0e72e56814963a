"""The project's own materializations, in a project of four small models."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.settings import SQL_FOLDER
from flows.tasks.load import STORAGE_VERSION
from tests.sql.conftest import Dbt

MODELS = {
    "replaced.sql": "select day, sum(amount)::bigint as amount from lake.given group by day",
    "grown.sql": """
        {{ config(
            materialized='incremental', incremental_strategy='append', on_schema_change='fail',
            pre_hook="{% if is_incremental() %}delete from {{ this }} where day = 2{% endif %}"
        ) }}
        select amount, day from lake.given {% if is_incremental() %} where day = 2 {% endif %}
    """,
    # It reads of itself what its hook deletes.
    "followed.sql": """
        {{ config(
            materialized='incremental', incremental_strategy='delete+insert',
            on_schema_change='fail',
            pre_hook="{% if is_incremental() %}delete from {{ this }} where day = 2{% endif %}"
        ) }}
        select amount, day from lake.given
        {% if is_incremental() %} where false union all select -amount, day from {{ this }}
            where day = 2 {% endif %}
    """,
    "seen.sql": "{{ config(materialized='KIND') }} select day, amount from lake.given",
    # The order of its columns is not its contract's.
    "stored.sql": "select amount, 'd' || day as day from lake.given",
    "all.yml": """
        models:
          - name: replaced
            description: "One row per day; it's $1, \\"all\\" of it."
            columns: &columns
              - {name: day, data_type: bigint, description: "The day; of \\"it\\"."}
              - {name: amount, data_type: TYPE, description: "It's what it was."}
          - name: grown
            description: "One row per amount."
            columns: *columns
          - name: followed
            description: "One row per amount."
            columns: *columns
          - name: seen
            description: "One row per amount as it is."
            columns: # of a view it means nothing
              - name: day
                data_type: bigint
                description: "The day; of \\"it\\"."
                config: {meta: {compression: rle}}
              - {name: amount, data_type: TYPE, description: "It's what it was."}
          - name: stored
            description: "One row per amount, as small as can be."
            columns:
              - name: day
                data_type: varchar
                description: "The day; of \\"it\\"."
                config: {meta: {compression: dictionary}}
              - {name: amount, data_type: TYPE, description: "It's what it was."}
    """,
}

NAMES = ("replaced", "grown", "followed", "seen", "stored")

Builder = Callable[..., tuple[bool, str]]


@pytest.fixture
def build_file(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    config = {"storage_compatibility_version": STORAGE_VERSION}
    with duckdb.connect(str(path), config=config) as connection:
        connection.execute("create schema lake")
        connection.execute("create table lake.given (day bigint, amount bigint)")
        connection.execute("insert into lake.given values (1, 10), (2, 20), (2, 21)")
    return path


@pytest.fixture
def build(tmp_path: Path, build_file: Path) -> Builder:
    """Builds the small project; whether that went well, and what was said if it did not."""
    project = tmp_path / "sql"
    shutil.copytree(SQL_FOLDER / "macros", project / "macros")
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copyfile(SQL_FOLDER / name, project / name)
    (project / "models" / "marts").mkdir(parents=True)

    def invoke(kind: str = "view", amount: str = "bigint") -> tuple[bool, str]:
        for name, text in MODELS.items():
            filled = text.replace("KIND", kind).replace("TYPE", amount)
            (project / "models" / "marts" / name).write_text(filled)
        folder = tmp_path / "target"
        dbt = Dbt(folder, folder, project)
        results = list(dbt.invoke(build_file, "build"))
        is_good = all(entry.status == "success" for entry in results)
        return is_good, " ".join(str(entry.message) for entry in results)

    return invoke


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path)) as connection:
        return connection.execute(sql).fetchall()


def test_relations_are_replaced_described_and_grow(build: Builder, build_file: Path) -> None:
    assert build() == (True, "OK OK OK OK OK")
    assert rows(build_file, "from marts.replaced order by day") == [(1, 10), (2, 41)]
    assert rows(build_file, "select day, amount from marts.grown order by all") == [
        (1, 10), (2, 20), (2, 21),
    ]  # fmt: skip
    comments = rows(
        build_file,
        "select table_name, comment from duckdb_tables() union all "
        "select view_name, comment from duckdb_views() where not internal union all "
        "select table_name || '.' || column_name, comment from duckdb_columns() "
        "where schema_name = 'marts'",
    )
    assert dict(comments) == {
        "given": None,
        "replaced": 'One row per day; it\'s $1, "all" of it.',
        "grown": "One row per amount.",
        "followed": "One row per amount.",
        "seen": "One row per amount as it is.",
        "stored": "One row per amount, as small as can be.",
        **{f"{name}.day": 'The day; of "it".' for name in NAMES},
        **{f"{name}.amount": "It's what it was." for name in NAMES},
    }

    rows(build_file, "update lake.given set amount = amount + 100")
    assert build(kind="table")[0]
    assert rows(build_file, "from marts.replaced order by day") == [(1, 110), (2, 241)]
    # Day 1 was not touched, and a column stands where it stood first.
    assert rows(build_file, "from marts.grown order by all") == [(10, 1), (120, 2), (121, 2)]
    assert rows(build_file, "from marts.followed order by all") == [(-21, 2), (-20, 2), (10, 1)]
    kinds = "select table_name, table_type from information_schema.tables order by all"
    assert ("seen", "BASE TABLE") in rows(build_file, kinds)
    assert build(kind="view")[0]
    assert ("seen", "VIEW") in rows(build_file, kinds)
    # Nothing is left of what was replaced.
    assert len(rows(build_file, kinds)) == 6


def test_a_column_may_say_how_it_is_compressed(build: Builder, build_file: Path) -> None:
    assert build()[0]
    ((made,),) = rows(build_file, "select sql from duckdb_tables() where table_name = 'stored'")
    assert "day VARCHAR USING COMPRESSION Dictionary, amount BIGINT" in made.replace('"', "")
    assert rows(build_file, "from marts.stored order by all") == [
        ("d1", 10), ("d2", 20), ("d2", 21),
    ]  # fmt: skip
    rows(build_file, "delete from lake.given where day = 2")
    assert build()[0]
    assert rows(build_file, "from marts.stored") == [("d1", 10)]


def test_what_breaks_its_contract_leaves_the_relation_as_it_was(
    build: Builder, build_file: Path
) -> None:
    assert build()[0]
    before = {name: rows(build_file, f"from marts.{name} order by all") for name in NAMES}
    rows(build_file, "update lake.given set amount = amount + 100 where day = 2")
    seen = rows(build_file, "from marts.seen order by all")

    is_good, said = build(amount="varchar")
    assert not is_good
    assert said.count("This model has an enforced contract that failed.") == 5
    assert "amount" in said
    assert rows(build_file, "from marts.replaced order by all") == before["replaced"]
    assert rows(build_file, "from marts.grown order by all") == before["grown"]
    assert rows(build_file, "from marts.followed order by all") == before["followed"]
    assert rows(build_file, "from marts.stored order by all") == before["stored"]
    assert rows(build_file, "from marts.seen order by all") == seen
