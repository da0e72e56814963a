"""The simulator as a process of its own, for as long as a block runs."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from simulator.world import WorldConfig

_PATIENCE = 20  # seconds to end


@dataclass(frozen=True)
class Server:
    """A running simulator: where it is and who may ask it."""

    url: str
    account_sid: str
    auth_token: str
    api_key: str
    api_secret: str
    now: str
    pid: int

    def set_clock(self, now: datetime) -> None:
        """Show the world as of another instant, UTC."""
        request = urllib.request.Request(
            f"{self.url}/simulator/clock",
            json.dumps({"now": now.isoformat()}).encode(),
            {"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=120):
            pass

    def requests(self) -> dict[str, int]:
        """How often each resource was asked for, `total`, and the most at the same time."""
        with urllib.request.urlopen(f"{self.url}/simulator/requests", timeout=30) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


@contextmanager
def running(
    config: WorldConfig, latency_ms: float = 0.0, concurrency: int | None = None
) -> Iterator[Server]:
    """Start a simulator on a free port; end it with the block, or with this process.

    Args:
        config: the world it shows.
        latency_ms: milliseconds that each answer takes longer.
        concurrency: requests an account may have in flight; more are refused with 429.

    Raises:
        RuntimeError: it did not start; its own words are on standard error.
    """
    process = subprocess.Popen(
        [
            sys.executable, "-m", "simulator", "--until-stdin-closes",
            "--messages", str(config.messages), "--days", str(config.days),
            "--accounts", str(config.accounts), "--seed", str(config.seed),
            "--until", config.until.isoformat(), "--latency-ms", str(latency_ms),
            *(["--concurrency", str(concurrency)] if concurrency else []),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the simulator has no pipes")
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the simulator did not start")
        yield Server(**json.loads(line), pid=process.pid)
    finally:
        process.stdin.close()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
