"""How much memory DuckDB has to build the models in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from flows.errors import ModelError
from flows.run import start_run
from flows.settings import read_settings
from flows.tasks import model as step
from flows.tasks.load import load
from flows.tasks.model import Models, memory_for, model
from tests.sql.conftest import Build


@pytest.mark.parametrize(("message_count", "megabytes"), [(0, 300), (10**6, 300), (10**8, 1500)])
def test_a_long_history_computed_anew_has_more(
    tmp_path: Path, message_count: int, megabytes: int
) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema lake")
        connection.execute(f"create view lake.touched_messages as from range({message_count})")
    assert memory_for(path) == megabytes


def test_duckdb_has_what_it_is_given(
    new_build: Callable[[], Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAREHOUSE_BUILD_MEMORY", raising=False)
    build = new_build()

    def limit() -> str:
        return build.shown("select current_setting('memory_limit') as found")["found"]

    assert limit() == "286.1 MiB"
    monkeypatch.setenv("WAREHOUSE_BUILD_MEMORY", "512MiB")
    assert limit() == "512.0 MiB"


def test_a_run_gives_duckdb_what_its_messages_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "WAREHOUSE_DATA_ROOT": str(tmp_path),
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "0" * 32,
        # What a run sets for dbt is as it was afterwards.
        **dict.fromkeys(("WAREHOUSE_BUILD_FILE", "WAREHOUSE_BUILD_MEMORY"), ""),
        **dict.fromkeys(("DBT_TARGET_PATH", "DBT_LOG_PATH"), str(tmp_path)),
    }.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    settings.build.mkdir(parents=True)
    load.fn(settings)
    monkeypatch.setattr(step, "memory_for", lambda build_file: 1)
    with pytest.raises(ModelError, match=r"(?i)memory"):
        model.fn(Models(start_run(settings, None)))
