"""How far a run has come: counted by the tasks, shown when a terminal is attached."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_bars: list[_Bar] = []


class _Bar:
    """A bar over windows, with the records read so far and their rate."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} windows"),
            TextColumn("{task.fields[records]:,} records"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=0, records=0, rate=0)
        self._records = 0
        self._first_at = 0.0

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        self._progress.stop()

    def plan(self, windows: int) -> None:
        self._progress.update(
            self._task,
            description="reading",
            total=(self._progress.tasks[0].total or 0) + windows,
        )

    def step(self, name: str) -> None:
        self._progress.update(self._task, description=name)

    def page(self, records: int) -> None:
        now = time.monotonic()
        self._first_at = self._first_at or now
        self._records += records
        rate = self._records / max(now - self._first_at, 1.0)
        self._progress.update(self._task, records=self._records, rate=rate)

    def window(self) -> None:
        self._progress.advance(self._task)

    def say(self, text: str) -> None:
        self._progress.console.print(text)


@contextmanager
def shown() -> Iterator[None]:
    """Show progress on standard error while the block runs."""
    bar = _Bar()
    _bars.append(bar)
    bar.start()
    try:
        yield
    finally:
        _bars.remove(bar)
        bar.stop()


def plan(windows: int) -> None:
    """That many windows more are to be read."""
    for bar in _bars:
        bar.plan(windows)


def step(name: str) -> None:
    """A step of the path begins."""
    for bar in _bars:
        bar.step(name)


def page(records: int) -> None:
    """A page with so many records was read."""
    with _lock:
        for bar in _bars:
            bar.page(records)


def window() -> None:
    """A window is done."""
    for bar in _bars:
        bar.window()


def say(text: str) -> None:
    """A sentence for whoever watches the run."""
    if not _bars:
        sys.stderr.write(f"{text}\n")
    for bar in _bars:
        bar.say(text)
