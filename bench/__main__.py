"""`make bench`: the simulator in its own process, then `naive` and ours against it.

python -m bench --messages 1000000 --days 30 --latency-ms 0 --write docs/benchmark.md
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.measure import Measurement, by_step, environment_of, measure
from simulator.process import running
from simulator.world import WorldConfig


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
                **environment_of(server, folder / "data", options.concurrency),
                "WAREHOUSE_INITIAL_DAYS": str(options.days),
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
        lines += by_step(result)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
