"""`make bench`: the simulator in its own process, then ours, several times, and `naive` against it.

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
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.measure import Measurement, by_step, environment_of, measure, middle, walls
from simulator.process import Server, running
from simulator.world import WorldConfig

NOTHING, BACKFILL, DAILY = "nothing", "backfill", "daily run after it"


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
    parser.add_argument("--repeat", type=int, default=5, help="how often ours are measured")
    parser.add_argument("--no-naive", action="store_true", help="measure ours alone")
    parser.add_argument("--write", type=Path, help="append the results to this page")
    options = parser.parse_args()

    now = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0)
    runs = run_all(options, now)
    page = render(options, runs)
    print(page)
    if options.write:
        with options.write.open("a", encoding="utf-8") as file:
            file.write(page + "\n")


def run_all(options: argparse.Namespace, now: datetime) -> dict[str, list[Measurement]]:
    """Measure ours several times, an account without messages before each, and naive once between
    them: what else the machine does comes and goes within minutes."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    runs: dict[str, list[Measurement]] = {name: [] for name in (NOTHING, BACKFILL, DAILY)}

    def ours(name: str, server: Server, root: Path, command: str, *arguments: str) -> Measurement:
        environment = {
            **environment_of(server, root, options.concurrency),
            "WAREHOUSE_INITIAL_DAYS": str(options.days),
            "WAREHOUSE_UNSENT_PAGES": str(options.unsent_pages),
            "PREFECT_HOME": str(folder / "prefect"),
        }
        if not Path(environment["PREFECT_HOME"]).exists():
            prepare_prefect(environment)
        words = [sys.executable, "-m", "bench.ours", command, now.isoformat(), *arguments]
        return measure(name, words, environment, server)

    def account(messages: int, latency_ms: float) -> AbstractContextManager[Server]:
        config = WorldConfig(messages=messages, days=options.days, seed=1, until=now)
        return running(config, latency_ms=latency_ms)

    since = f"{now - timedelta(days=options.days):%Y-%m-%d}"
    try:
        with account(1, 0) as empty, account(options.messages, options.latency_ms) as server:
            # The first run ever parses the models, which every run after it finds parsed.
            ours(NOTHING, empty, folder / "first", "backfill", since)
            for number in range(options.repeat):
                root = folder / f"{number}"
                runs[NOTHING].append(ours(NOTHING, empty, folder / "empty", "backfill", since))
                runs[BACKFILL].append(ours(BACKFILL, server, root, "backfill", since))
                runs[DAILY].append(ours(DAILY, server, root, "daily"))
                for used in (folder / "empty", root):
                    shutil.rmtree(used)
                if number == options.repeat // 2 and not options.no_naive:
                    naive = [sys.executable, "-m", "bench.naive", str(folder / "naive.duckdb")]
                    environment = environment_of(server, folder, options.concurrency)
                    runs["naive"] = [measure("naive", naive, environment, server)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return runs


def render(options: argparse.Namespace, runs: dict[str, list[Measurement]]) -> str:
    """The results as Markdown."""
    results = {name: middle(measured) for name, measured in runs.items()}
    nothing = results.pop(NOTHING)
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
    beyond = ", ".join(
        f"{(run.cpu - nothing.cpu) / options.messages * 1e6:.1f}" for run in runs[BACKFILL]
    )
    lines += [
        "",
        f"An empty account takes {nothing.wall:.1f} s and {nothing.cpu:.1f} s of processor time. "
        f"The backfills took {walls(runs[BACKFILL])} s and, "
        f"beyond an empty account, {beyond} µs of processor time a message.",
    ]
    if "naive" in results:
        ratio = results[BACKFILL].wall / results["naive"].wall
        lines.append(f"Backfill takes {ratio:.3f} of naive's wall time.")
    for result in results.values():
        lines += by_step(result)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
