"""How much memory and how many threads DuckDB has to build the models with."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from flows.errors import ModelError
from flows.lake import Lake
from flows.run import start_run
from flows.settings import SQL_FOLDER, read_settings
from flows.tasks import model as step
from flows.tasks.load import load
from flows.tasks.model import Models, memory_for, model, threads_beside
from tests.sql.conftest import Build
from transforms.tables import MESSAGES

GIVEN = ("FILE", "UNPUBLISHED_FILE", "MEMORY", "THREADS")


@pytest.mark.parametrize(("message_count", "megabytes"), [(0, 300), (10**6, 300), (10**8, 3000)])
def test_a_long_history_computed_anew_has_more(message_count: int, megabytes: int) -> None:
    assert memory_for(message_count) == megabytes


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (8, 7)])
def test_duckdb_has_the_cores_that_building_two_models_leaves(cores: int, threads: int) -> None:
    assert threads_beside(cores) == threads


def test_duckdb_has_what_it_is_given(
    new_build: Callable[[], Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WAREHOUSE_BUILD_MEMORY", "WAREHOUSE_BUILD_THREADS"):
        monkeypatch.delenv(name, raising=False)
    build = new_build()

    def limits() -> list[object]:
        return list(
            build.shown(
                "select current_setting('memory_limit') as memory, "
                "current_setting('threads') as threads"
            ).values()
        )

    assert limits() == ["286.1 MiB", 1]
    monkeypatch.setenv("WAREHOUSE_BUILD_MEMORY", "512MiB")
    monkeypatch.setenv("WAREHOUSE_BUILD_THREADS", "3")
    assert limits() == ["512.0 MiB", 3]


def test_duckdb_is_told_once_of_its_memory() -> None:
    # Told at each connection it would give back each time what it holds free.
    profile = yaml.safe_load((SQL_FOLDER / "profiles.yml").read_text())["twilio_warehouse"]
    assert "memory_limit" not in profile["outputs"]["build"]["settings"]


def test_a_run_gives_duckdb_what_its_messages_need_and_the_cores_that_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "WAREHOUSE_DATA_ROOT": str(tmp_path),
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "0" * 32,
        # What a run sets for dbt is as it was afterwards.
        **dict.fromkeys((f"WAREHOUSE_BUILD_{name}" for name in GIVEN), ""),
        **dict.fromkeys(("DBT_TARGET_PATH", "DBT_LOG_PATH"), str(tmp_path)),
    }.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    settings.build.mkdir(parents=True)
    at = datetime(2026, 11, 6, tzinfo=UTC)
    row = {
        **dict.fromkeys(MESSAGES.schema.names), "account_sid": "AC" + "0" * 32,
        "direction": "inbound", "status": "received", "is_opt_out_request": False,
        **dict.fromkeys(("created_at", "first_seen_at", "last_seen_at"), at),
    }  # fmt: skip
    rows = [{**row, "message_sid": f"SM{number}"} for number in range(3)]
    settings.lake.mkdir()
    with Lake(settings.lake).transaction() as transaction:
        transaction.replace(MESSAGES, f"{at:%Y-%m-%d}", pa.Table.from_pylist(rows, MESSAGES.schema))
    load.fn(settings)
    asked: list[int] = []

    def one_megabyte(message_count: int) -> int:
        asked.append(message_count)
        return 1

    monkeypatch.setattr(step, "memory_for", one_megabyte)
    monkeypatch.setattr(step, "CORES", 5)
    with pytest.raises(ModelError, match=r"(?i)memory"):
        model.fn(Models(start_run(settings, None)))
    assert asked == [3]
    assert os.environ["WAREHOUSE_BUILD_THREADS"] == "4"
