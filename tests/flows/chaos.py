"""Runs killed at random instants, and what must hold all the same: `make chaos`.

Each day of a simulated world a run is started and killed, again and again, and then left to end.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import duckdb

from flows.lake import Lake
from simulator.observed import known_messages
from simulator.process import running
from simulator.truth import expected_messages
from simulator.world import World, WorldConfig
from tests.flows.conftest import NOW, Warehouse, assert_equal_to_truth, reads_of
from transforms.tables import EXTRACTIONS, MESSAGE_CHANGES, MESSAGES

COMMAND = Path(sys.executable).with_name("twilio-warehouse")


def die_and_live(folder: Path, kills: int, days: int, seed: int) -> None:
    """Kill `kills` runs spread over some days; every published state and the end must be right."""
    config = WorldConfig.lively(messages=1_000 * days, days=days + 2, seed=seed, until=NOW)
    world, chance = World(config), random.Random(seed)
    with running(config) as server:
        mortal = Warehouse(folder, server, {"WAREHOUSE_INITIAL_DAYS": "1"})
        whole = None
        for day in range(days):
            now = NOW - timedelta(days=days - 1 - day)
            server.set_clock(now)
            for _ in range(kills * (day + 1) // days - kills * day // days):
                # The first second of a run is Python's; a first run's length is a guess.
                _run(mortal, now.isoformat(), chance.uniform(1.0, whole or 10.0))
                _assert_readable(mortal)
            whole = _run(mortal, now.isoformat(), None)
        reads = reads_of(mortal)
        lake = Lake(folder / "lake")
        rows = {row["message_sid"]: row for row in lake.read(MESSAGES).to_pylist()}
        assert len(rows) == lake.read(MESSAGES).num_rows, "a message is there twice"
        assert rows.keys() == {known.message.sid for known in known_messages(world, reads)}
        for sid, wanted in expected_messages(world, NOW, NOW, reads=reads).items():
            assert {name: rows[sid][name] for name in wanted} == wanted, sid
        for table in (MESSAGE_CHANGES, EXTRACTIONS):
            keys = lake.read(table).select(list(table.key)).to_pylist()
            assert len({tuple(key.values()) for key in keys}) == len(keys), table.name
        assert_equal_to_truth(mortal, world, NOW, NOW, reads=reads)
        reports = mortal.reports()
        for left in (folder / "reports").glob(".*.writing"):
            # Somebody else may be writing it, for all a run knows, until it is a day old.
            os.utime(left, (0, 0))
        mortal.run("rebuild")
        assert mortal.reports() == reports
        assert not list(folder.glob("**/*.writing"))


def _run(warehouse: Warehouse, now: str, killed_after: float | None) -> float:
    """The seconds a run took; killed with all its children after so many."""
    started = time.monotonic()
    with warehouse.active():
        process = subprocess.Popen(
            [COMMAND, "run", "--now", now], start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    try:
        _, said = process.communicate(timeout=killed_after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return time.monotonic() - started
    # Suspended and closed accounts are refused, which is no failure.
    assert process.returncode == 0, said
    return time.monotonic() - started


def _assert_readable(warehouse: Warehouse) -> None:
    """Whatever was published last can be read whole."""
    published = warehouse.root / "warehouse.duckdb"
    if not published.exists():
        return
    with duckdb.connect(str(published), read_only=True) as connection:
        for schema, name in connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema in ('lake', 'marts', 'reports')"
        ).fetchall():
            connection.execute(f"select count(*), count(columns(*)) from {schema}.{name}")
    for path in (warehouse.root / "reports").glob("*.csv"):
        assert path.read_bytes().endswith(b"\n"), path


def main() -> None:
    """`python -m tests.flows.chaos --kills 50`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        die_and_live(Path(folder), options.kills, options.days, options.seed)
    print(f"{options.kills} kills over {options.days} days: nothing lost, nothing doubled.")


if __name__ == "__main__":
    main()
