"""Windows are read side by side; one that dies keeps no other from being read."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.reading import Reading
from flows.scanning import Scans
from transforms.windows import Planned, Window

NOW = datetime(2026, 11, 10, tzinfo=UTC)
DAY = timedelta(days=1)
SCAN = Window("unsent_messages", "AC1", NOW - 10 * DAY, NOW)
SENT = Window("messages", "AC1", NOW - 3 * DAY, NOW - 2 * DAY)


class Submitted:
    """A task's future as Prefect gives it; of a scan one that died before it began."""

    def __init__(self, future: Future[Any] | None) -> None:
        self._future = future

    def wait(self) -> None:
        if self._future:
            self._future.result(10)

    @property
    def state(self) -> SimpleNamespace:
        is_completed = self._future is not None
        return SimpleNamespace(is_completed=lambda: is_completed, name="Crashed")


def test_a_scan_that_died_before_it_began_is_waited_for_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Any = SimpleNamespace(
        scans=Scans(), settings=SimpleNamespace(build=tmp_path), record=lambda extraction: None
    )
    left: list[Window | None] = []
    with ThreadPoolExecutor() as pool:

        def submit(window: Window, *_: object) -> Submitted:
            if window is SCAN:
                return Submitted(None)
            return Submitted(pool.submit(lambda: left.append(run.scans.left_of(window))))

        monkeypatch.setattr("flows.reading.extract", SimpleNamespace(submit=submit))
        reading = Reading(run, [Planned(SENT, "", None), Planned(SCAN, "", None)])
        try:
            intake = reading.wait()
        finally:
            run.scans.end("AC1")
    assert left == [SENT]
    assert [(noted.window, noted.outcome) for noted in intake.extractions] == [(SCAN, "failed")]
