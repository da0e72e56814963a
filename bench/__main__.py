"""`make bench`: the simulator in its own process, then `naive` and ours against it.

python -m bench --messages 1000000 --days 30 --latency-ms 0 --write docs/benchmark.md
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from simulator.process import running
from simulator.world import WorldConfig


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


def measure(name: str, command: list[str], environment: dict[str, str], server: Any) -> Measurement:
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
                resident += process.memory_info().rss
                self._times[process.pid] = times.user + times.system
            except psutil.Error:
                continue
        self._seen.append((time.perf_counter(), resident))


def prepare_prefect(environment: dict[str, str]) -> None:
    """Make the database Prefect keeps on this machine, as any earlier run would have."""
    Path(environment["PREFECT_HOME"]).mkdir()
    subprocess.run(
        [Path(sys.executable).with_name("prefect"), "server", "database", "upgrade", "-y"],
        env=environment, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def main() -> None:
    """Measure and print; with --write also keep the page."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--unsent-pages", type=int, default=200)
    parser.add_argument("--no-naive", action="store_true", help="measure ours alone")
    parser.add_argument("--write", type=Path, help="append the results to this page")
    options = parser.parse_args()

    now = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0)
    # The first run ever parses the models, which every run after it finds parsed.
    run_all(options, now, messages=1, latency_ms=0, names=["backfill"])
    nothing = run_all(options, now, messages=1, latency_ms=0, names=["backfill"])
    results = run_all(options, now, messages=options.messages, latency_ms=options.latency_ms)
    page = render(options, results, nothing["backfill"])
    print(page)
    if options.write:
        with options.write.open("a", encoding="utf-8") as file:
            file.write(page + "\n")


def run_all(
    options: argparse.Namespace, now: datetime, *, messages: int, latency_ms: float,
    names: Sequence[str] = (),
) -> dict[str, Measurement]:  # fmt: skip
    """Measure each program, or those named, one after the other on the same account."""
    config = WorldConfig(messages=messages, days=options.days, seed=1, until=now)
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with running(config, latency_ms=latency_ms) as server:
            environment = {
                **{k: v for k, v in os.environ.items() if not k.startswith("WAREHOUSE_")},
                "TWILIO_ACCOUNT_SID": server.account_sid,
                "TWILIO_AUTH_TOKEN": server.auth_token,
                "TWILIO_API_BASE_URL": server.url,
                "WAREHOUSE_DATA_ROOT": str(folder / "data"),
                "WAREHOUSE_INITIAL_DAYS": str(options.days),
                "WAREHOUSE_CONCURRENCY": str(options.concurrency),
                "WAREHOUSE_UNSENT_PAGES": str(options.unsent_pages),
                "PREFECT_HOME": str(folder / "prefect"),
            }
            python = sys.executable
            prepare_prefect(environment)
            since = f"{now - timedelta(days=options.days):%Y-%m-%d}"
            jobs = {
                "backfill": [python, "-m", "bench.ours", "backfill", now.isoformat(), since],
                "daily run after it": [python, "-m", "bench.ours", "daily", now.isoformat()],
                "naive": [python, "-m", "bench.naive", str(folder / "naive.duckdb")],
            }
            if options.no_naive:
                del jobs["naive"]
            return {
                name: measure(name, command, environment, server)
                for name, command in jobs.items()
                if not names or name in names
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def render(
    options: argparse.Namespace, results: dict[str, Measurement], nothing: Measurement
) -> str:
    """The results as Markdown; `nothing`: a backfill of an account without messages."""
    lines = [
        f"## {options.messages:,} messages, {options.days} days, {options.latency_ms:g} ms latency",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, WAREHOUSE_CONCURRENCY={options.concurrency}, "
        f"WAREHOUSE_UNSENT_PAGES={options.unsent_pages}.",
        "",
        "| | wall s | CPU s | CPU µs a record | records/s | peak MB | requests |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for result in results.values():
        lines.append(
            f"| {result.name} | {result.wall:.1f} | {result.cpu:.1f} "
            f"| {result.cpu / max(1, result.records) * 1e6:.1f} "
            f"| {result.records / result.wall:,.0f} | {result.peak:,.0f} | {result.requests:,} |"
        )
    ours = results["backfill"]
    beyond = (ours.cpu - nothing.cpu) / options.messages * 1e6
    lines += [
        "",
        f"An empty account takes {nothing.wall:.1f} s and {nothing.cpu:.1f} s of processor time; "
        f"beyond that the backfill takes {beyond:.1f} µs of it a message.",
    ]
    if "naive" in results:
        ratio = ours.wall / results["naive"].wall
        lines.append(f"Backfill takes {ratio:.3f} of naive's wall time.")
    for result in results.values():
        lines += [
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
        lines.append(f"| the rest | {rest:.1f} | | | | | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
