"""A simulated account, and a warehouse of it that flows are run on, in a real Prefect."""

from __future__ import annotations

import csv
import importlib
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from flows.lake import Lake
from flows.orchestration import flow
from flows.reading import read
from flows.run import Run, start_run, writing
from flows.settings import read_settings
from flows.tasks.extract import extract_accounts
from flows.tasks.normalize import normalize
from flows.tasks.plan import plan_daily, plan_deep_refresh
from simulator.observed import Read
from simulator.process import Server, running
from simulator.truth import expected_reports
from simulator.world import World, WorldConfig
from tests.flows.sink import Sink, a_sink
from transforms.tables import EXTRACTIONS

# The clocks of Madrid change on 25 October 2026, within the 35 days before.
NOW = datetime(2026, 11, 10, 6, tzinfo=UTC)
DAYS = 35


@flow(name="lake only")
def lake_only(now: datetime, deep: bool) -> Run:
    """A daily run, or a deep refresh, as far as the lake."""
    run = start_run(read_settings(), now, name="deep-refresh" if deep else "daily")
    with writing(run):
        accounts = extract_accounts(run)
        normalize(run, read(run, (plan_deep_refresh if deep else plan_daily)(run, accounts)))
    return run


@dataclass
class Warehouse:
    """A data root and the settings its flows run with."""

    root: Path
    server: Server
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables a process needs to work on it."""
        return {
            "TWILIO_ACCOUNT_SID": self.server.account_sid,
            "TWILIO_AUTH_TOKEN": self.server.auth_token,
            "TWILIO_API_BASE_URL": self.server.url,
            "WAREHOUSE_DATA_ROOT": str(self.root),
            "WAREHOUSE_INITIAL_DAYS": str(DAYS),
            **self.settings,
        }

    @contextmanager
    def active(self, **settings: str) -> Iterator[None]:
        """These settings in the environment, and some more."""
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TWILIO_", "WAREHOUSE_"))
        }
        with patch.dict(os.environ, {**clean, **self.environment, **settings}, clear=True):
            yield

    def run(self, flow: str, settings: dict[str, str] | None = None, **parameters: Any) -> Any:
        """Run a flow."""
        with self.active(**(settings or {})):
            return getattr(importlib.import_module(f"flows.{flow}"), flow)(**parameters)

    def report(self, name: str) -> list[dict[str, str]]:
        """A report's rows as they are in its CSV."""
        with (self.root / "reports" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def reports(self) -> dict[str, bytes]:
        """Every CSV, byte by byte."""
        return {path.name: path.read_bytes() for path in (self.root / "reports").glob("*.csv")}


def reads_of(warehouse: Warehouse) -> list[Read]:
    """What the ledger says was asked for."""
    return [
        Read(
            row["dataset"], row["account_sid"], row["window_start"], row["window_end"],
            row["read_at"], outcome=row["outcome"], record_count=row["record_count"],
        )
        for row in Lake(warehouse.root / "lake").read(EXTRACTIONS).to_pylist()
    ]  # fmt: skip


def assert_equal_to_truth(
    warehouse: Warehouse,
    world: World,
    now: datetime,
    read_since: datetime,
    timezone: str = "UTC",
    reads: Sequence[Read] | None = None,
) -> None:
    """Every cell of every report is what the simulator's own records say, all read now or, with
    `reads`, as it was at each of those."""
    truth = expected_reports(world, now, timezone, read_since, reads=reads)
    for name, expected in truth.items():
        written = warehouse.report(name)
        assert expected, f"{name}: the truth has no rows to compare with"
        assert list(written[0]) == list(expected[0]), name
        parsed = [
            {column: parse(cell, row[column]) for column, cell in line.items()}
            for line, row in zip(written, expected, strict=False)
        ]
        for number, (found, wanted) in enumerate(zip(parsed, expected, strict=False)):
            assert is_same(found, wanted), f"{name}, row {number}:\n{found}\n{wanted}"
        assert len(written) == len(expected), name


def is_same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a row is what was wanted; a forecast's averages may be rounded otherwise."""
    loose = 1e-4 if wanted.get("kpi") == "forecast_cost" else 0.0
    return all(
        math.isclose(value, wanted[name], rel_tol=1e-12, abs_tol=loose)
        if isinstance(value, float) and isinstance(wanted[name], float)
        else value == wanted[name]
        for name, value in found.items()
    )


def parse(cell: str, example: Any) -> Any:
    """A cell as a value of the kind the truth has there."""
    if cell == "":
        return None
    if isinstance(example, bool):
        return {"true": True, "false": False}[cell]
    if isinstance(example, int):
        return int(cell)
    if isinstance(example, float):
        return float(cell)
    if isinstance(example, Decimal):
        return Decimal(cell)
    if isinstance(example, datetime):
        return datetime.fromisoformat(cell).replace(tzinfo=example.tzinfo)
    return (
        cell if example is None or isinstance(example, str) else type(example).fromisoformat(cell)
    )


@pytest.fixture(scope="session")
def config() -> WorldConfig:
    """A month of a shop with two branches."""
    return WorldConfig(messages=20_000, days=DAYS, accounts=3, seed=7, until=NOW)


@pytest.fixture(scope="session")
def world(config: WorldConfig) -> World:
    """The same world the server shows, for its truth."""
    return World(config)


@pytest.fixture(scope="session")
def account(config: WorldConfig) -> Iterator[Server]:
    """A simulator showing the world at NOW."""
    with running(config) as server:
        yield server


@pytest.fixture(scope="session")
def first_day() -> datetime:
    """The midnight from which the first run reads."""
    return NOW.replace(hour=0) - timedelta(days=DAYS)


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory, account: Server) -> Warehouse:
    """A warehouse after its first daily run."""
    built = Warehouse(tmp_path_factory.mktemp("warehouse"), account)
    built.run("daily", now=NOW)
    return built


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A place alerts are sent to, that keeps them."""
    with a_sink() as sink:
        yield sink
