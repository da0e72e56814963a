"""A program watched from start to end: time, processor time and memory of all its processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from simulator.process import Server


@dataclass(frozen=True)
class Step:
    """One step of a program, all times it was done."""

    wall: float  # seconds
    cpu: float  # seconds, of the process, whatever else it did meanwhile
    peak: float  # megabytes resident
    requests: int | None


@dataclass(frozen=True)
class Measurement:
    """One program from start to end, its children included."""

    name: str
    wall: float  # seconds
    cpu: float  # seconds, user and system, of all its processes
    peak: float  # megabytes resident, of all its processes together
    records: int
    requests: int
    steps: dict[str, Step]


def measure(
    name: str, command: list[str], environment: Mapping[str, str], server: Server
) -> Measurement:
    """Run a command that prints one JSON line last; watch it and its children."""
    before = server.requests()["total"]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    watch = _Watch(process.pid)
    watch.start()
    output, _ = process.communicate()
    wall = time.perf_counter() - started
    watch.stop()
    if process.returncode:
        sys.exit(f"{name} failed with {process.returncode}")
    said = json.loads(output.strip().splitlines()[-1])
    return Measurement(
        name, wall, watch.cpu, watch.peak / 1e6, said["records"],
        server.requests()["total"] - before, steps_of(said["steps"], watch),
    )  # fmt: skip


def steps_of(stretches: list[dict[str, Any]], watch: _Watch) -> dict[str, Step]:
    """What was told of each step, with the memory that was seen meanwhile."""
    steps: dict[str, Step] = {}
    for told in stretches:
        so_far = steps.get(told["name"], Step(0.0, 0.0, 0.0, None))
        steps[told["name"]] = Step(
            so_far.wall + told["until"] - told["from"],
            so_far.cpu + told["cpu"],
            max(so_far.peak, watch.peak_between(told["from"], told["until"]) / 1e6),
            None if told["requests"] is None else (so_far.requests or 0) + told["requests"],
        )
    return steps


class _Watch(threading.Thread):
    """Samples the memory and processor time of a process and its children."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(pid)
        self._times: dict[int, float] = {}
        self._done = threading.Event()
        self._seen: list[tuple[float, int]] = []

    @property
    def cpu(self) -> float:
        """Seconds, of every process seen."""
        return sum(self._times.values())

    @property
    def peak(self) -> int:
        """The most bytes resident at any time."""
        return max((resident for _, resident in self._seen), default=0)

    def peak_between(self, start: float, end: float) -> int:
        """The most bytes resident in a stretch of time."""
        return max((resident for at, resident in self._seen if start <= at <= end), default=0)

    def run(self) -> None:
        while not self._done.wait(0.05):
            self._sample()

    def stop(self) -> None:
        """End sampling."""
        self._done.set()
        self.join()

    def _sample(self) -> None:
        resident = 0
        try:
            family = [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return
        for process in family:
            try:
                times = process.cpu_times()
                # One just forked shows its parent's memory as its own until its program begins:
                # it counts from the second time it is seen.
                if process.pid in self._times:
                    resident += process.memory_info().rss
                self._times[process.pid] = times.user + times.system
            except psutil.Error:
                continue
        self._seen.append((time.perf_counter(), resident))


def environment_of(server: Server, data_root: Path, concurrency: int) -> dict[str, str]:
    """What a program of ours needs to read a simulated account into a data root."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("WAREHOUSE_")},
        "TWILIO_ACCOUNT_SID": server.account_sid,
        "TWILIO_AUTH_TOKEN": server.auth_token,
        "TWILIO_API_BASE_URL": server.url,
        "WAREHOUSE_DATA_ROOT": str(data_root),
        "WAREHOUSE_CONCURRENCY": str(concurrency),
    }


def middle(runs: Sequence[Measurement]) -> Measurement:
    """The run of which as many took more processor time as took less."""
    return sorted(runs, key=lambda run: run.cpu)[len(runs) // 2]


def walls(runs: Sequence[Measurement]) -> str:
    """The seconds that runs took, in their order."""
    return ", ".join(f"{run.wall:.1f}" for run in runs)


def by_step(result: Measurement) -> list[str]:
    """What each step of a program took, as a table in Markdown."""
    lines = [
        "",
        f"| {result.name}, by step | wall s | CPU s | CPU µs a record | records/s | peak MB "
        "| requests |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    records = max(1, result.records)
    for name, step in result.steps.items():
        lines.append(
            f"| {name} | {step.wall:.1f} | {step.cpu:.1f} | {step.cpu / records * 1e6:.1f} "
            f"| {records / max(step.wall, 1e-3):,.0f} | {step.peak:,.0f} "
            f"| {'' if step.requests is None else f'{step.requests:,}'} |"
        )
    rest = result.wall - sum(step.wall for step in result.steps.values())
    return [*lines, f"| the rest | {rest:.1f} | | | | | |"]
