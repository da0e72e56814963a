"""A lake of literal rows in a build file, and dbt to build it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pyarrow as pa
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from flows.settings import SQL_FOLDER
from flows.tasks.load import STORAGE_VERSION, TOUCHED_DAYS
from tests.conftest import shared_folder
from tests.sql.lake_rows import LakeRows, typed
from transforms.tables import EXTRACTIONS, MESSAGES, TABLES

# Its clocks went back on 25 October 2026 at 01:00 UTC.
TIMEZONE = "Europe/Madrid"
VARIABLES = {"timezone": TIMEZONE, "language": "en", "monthly_budget": 100}


def beside(build_file: Path) -> Path:
    """The unpublished file of a build file."""
    return build_file.with_name("unpublished.duckdb")


class Dbt:
    """dbt in this process; it parses the project once, and accepts nothing that is deprecated.

    Args:
        folder: where it writes.
        parses: where what it parsed is kept, for other processes of the session too.
        project: the project it builds.
        variables: the project's variables.
    """

    def __init__(
        self,
        folder: Path,
        parses: Path,
        project: Path = SQL_FOLDER,
        variables: Mapping[str, Any] = VARIABLES,
    ) -> None:
        self._folder = folder
        self._parses = parses
        self._project = project
        self.variables = variables
        self._manifest: Any = None

    def invoke(self, build_file: Path, command: str, *options: str) -> Any:
        """What a command returns that is run on a build file."""
        if self._manifest is None:
            # A parse is the same wherever the file is and whatever the variables are; dbt would
            # parse anew for other ones.
            self._manifest = self._invoke(Path(build_file.name), self._parses, "parse")
        variables = ("--vars", json.dumps(self.variables))
        return self._invoke(build_file, self._folder, command, *variables, *options)

    def _invoke(self, build_file: Path, target: Path, command: str, *options: str) -> Any:
        # A manifest that was compiled once leaves ephemeral models out the second time.
        manifest = self._manifest and self._manifest.deepcopy()
        environment = {
            "WAREHOUSE_BUILD_FILE": str(build_file),
            "WAREHOUSE_BUILD_UNPUBLISHED_FILE": str(beside(build_file)),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
        }
        with patch.dict(os.environ, environment):
            try:
                result = dbtRunner(manifest=manifest).invoke(
                    [
                        "--quiet", "--no-print", "--log-level", "none", "--no-write-json",
                        "--warn-error-options", '{"error": ["Deprecations"]}',
                        command,
                        "--project-dir", str(self._project),
                        "--profiles-dir", str(self._project),
                        *options,
                    ]
                )  # fmt: skip
            finally:
                DuckDBConnectionManager.close_all_connections()
        assert result.exception is None
        return result.result


class Build:
    """A build file that the models are built in, for a lake given row by row."""

    def __init__(self, path: Path, dbt: Dbt) -> None:
        self.path = path
        self._dbt = dbt
        self._built: LakeRows = {}
        self._shown: LakeRows = {}
        self._is_unbuilt = False

    def show(self, lake: LakeRows) -> None:
        """Make schema `lake` hold these rows, and what changed since the last build, as load does.

        Columns that a row does not name are null, 0 or empty.
        """
        self._shown = lake
        tables = [(table.name, typed(table, lake.get(table.name, ()))) for table in TABLES.values()]
        old, new = self._built.get("messages", ()), lake.get("messages", ())
        before, after = ({row["message_sid"]: row for row in rows} for rows in (old, new))
        minutes = {
            int((row["sent_at"] or row["created_at"]).timestamp()) // 60
            for sid in {**before, **after}
            for row in (before.get(sid), after.get(sid))
            if row and before.get(sid) != after.get(sid)
        }
        read_before = self._built.get("extractions", ())
        read = [row for row in lake.get("extractions", ()) if row not in read_before]
        # A load may show messages of other days too: all of them is always right.
        tables += [(f"{name}_messages", typed(MESSAGES, new)) for name in ("touched", "changed")]
        config = {"storage_compatibility_version": STORAGE_VERSION}
        with duckdb.connect(str(beside(self.path)), config=config):
            pass
        with duckdb.connect(str(self.path), config=config) as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute("create schema if not exists lake")
            for name, rows in tables:
                connection.register("given", rows)
                connection.execute(f"create or replace table lake.{name} as from given")
                connection.unregister("given")
            changed = pa.table({"minute": pa.array(sorted(minutes), pa.int64())})
            connection.register("changed_minutes", changed)
            connection.register("changed_extractions", typed(EXTRACTIONS, read))
            days = (
                "select day, is_changed from lake.touched_days"
                if self._is_unbuilt
                else "select null::date as day, true as is_changed where false"
            )
            connection.execute(f"create temporary table unbuilt_days as {days}")
            connection.execute(TOUCHED_DAYS, {"timezone": self._dbt.variables["timezone"]})
        self._is_unbuilt = True

    def dbt(self, *options: str, warns: Set[str] = frozenset()) -> list[Any]:
        """`dbt build`; its results: none failed, and the tests that warned are those given."""
        results = list(self._dbt.invoke(self.path, "build", *options))
        failed = [
            f"{entry.node.name}: {entry.message}"
            for entry in results
            if entry.status not in ("success", "pass", "warn")
        ]
        assert not failed
        assert {entry.node.name for entry in results if entry.status == "warn"} == warns
        self._built, self._is_unbuilt = self._shown, False
        return results

    def update(
        self, lake: LakeRows, warns: Set[str] = frozenset(), upto: str | None = None
    ) -> None:
        """Show the lake and build what changed in it, without the unit tests: they need no lake.

        Args:
            upto: a model; others than it and what it needs are left out.
        """
        self.show(lake)
        only = ("--select", f"+{upto}", "--exclude-resource-type", "test") if upto else ()
        self.dbt("--exclude-resource-type", "unit_test", *only, warns=warns)

    def fail_after(self, lake: LakeRows, model: str) -> None:
        """Show the lake and build a model, as a run that fails then: nothing counts as built."""
        built = self._built
        self.update(lake, upto=model)
        self._built, self._is_unbuilt = built, True

    def shown(self, sql: str) -> dict[str, Any]:
        """The one row that `dbt show` shows of a query."""
        (result,) = self._dbt.invoke(self.path, "show", "--inline", sql)
        (row,) = result.agate_table.rows
        return dict(row)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query; changes made by it stay."""
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(f"attach '{beside(self.path)}' as unpublished")
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows, in order, of every table in the schemas that are published."""
        names = self.query(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where table_schema in ('marts', 'reports', 'alerts') and table_type = 'BASE TABLE'"
        )
        return {name: self.query(f"from {name} order by all") for (name,) in sorted(names)}


@pytest.fixture(scope="session")
def new_build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Build]:
    """Makes an empty build file."""
    dbt = Dbt(tmp_path_factory.mktemp("dbt"), shared_folder(tmp_path_factory) / "dbt")
    return lambda: Build(tmp_path_factory.mktemp("build") / "warehouse.duckdb", dbt)
