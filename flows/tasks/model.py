"""`dbt build` in sql/: every business definition, computed and tested."""

from __future__ import annotations

import gc
import json
import os
from typing import Any

import duckdb

from flows.errors import ModelError
from flows.orchestration import task
from flows.settings import SQL_FOLDER, Settings

_SHOWN = 5


@task(name="model")
def model(settings: Settings) -> list[str]:
    """Build and test all models in the build file; afterwards its changes count as built.

    Returns what tests of severity warn had to say, in sentences.

    Raises:
        ModelError: a model or a test of severity error failed; the message names the first ones.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    _set_environment(settings)
    try:
        # Unit tests prove the code, not the data: `make test` runs them.
        result = dbtRunner().invoke(
            ["build", *_options(settings), "--exclude-resource-type", "unit_test"]
        )
    finally:
        # dbt would keep the file locked for as long as this process lives.
        DuckDBConnectionManager.close_all_connections()
    failure = None if result.success else _what_failed(result)
    warnings = _what_warned(result)
    # Its exceptions hold connections, of which DuckDB would complain at the program's end.
    del result
    gc.collect()
    if failure is not None:
        raise ModelError(failure)
    with duckdb.connect(str(settings.build_file)) as connection:
        connection.execute("create or replace table pipeline.built as from pipeline.loaded")
    return warnings


def _options(settings: Settings) -> list[str]:
    return [
        "--quiet", "--no-print", "--log-level", "none",
        "--project-dir", str(SQL_FOLDER),
        "--profiles-dir", str(SQL_FOLDER),
        "--vars", json.dumps(
            {
                "timezone": settings.timezone,
                "language": settings.language,
                "monthly_budget": settings.monthly_budget,
            }
        ),
    ]  # fmt: skip


def _set_environment(settings: Settings) -> None:
    """dbt takes paths that its project files name from the environment only."""
    os.environ["WAREHOUSE_BUILD_FILE"] = str(settings.build_file)
    os.environ["DBT_TARGET_PATH"] = str(settings.build / "dbt")
    os.environ["DBT_LOG_PATH"] = str(settings.build / "dbt")


def _what_warned(result: Any) -> list[str]:
    return [
        f"{entry.node.name}: {' '.join((entry.message or 'warns').split())}"
        for entry in getattr(result.result, "results", [])
        if entry.status == "warn"
    ]


def _what_failed(result: Any) -> str:
    if result.exception is not None:
        return f"The models could not be built: {result.exception}"
    failed = [
        f"{entry.node.name}: {' '.join((entry.message or str(entry.status)).split())}"
        for entry in result.result.results
        if entry.status in ("error", "fail")
    ]
    more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
    return (
        "The models did not pass, the published warehouse stays as it was. "
        + "; ".join(failed[:_SHOWN])
        + more
    )
