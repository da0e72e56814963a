"""How much memory DuckDB has to build the models in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from flows.tasks.model import memory_for
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
