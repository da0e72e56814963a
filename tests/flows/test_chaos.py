"""kill -9 in the middle of runs; `make chaos` does it 50 times."""

from __future__ import annotations

from pathlib import Path

from tests.flows.chaos import die_and_live


def test_killed_runs_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    die_and_live(tmp_path, kills=4, days=2, seed=5)
