"""The simulator as a process of its own, for as long as a block runs."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulator.faults import Rule, as_json
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
        self._put("clock", {"now": now.isoformat()})

    def set_faults(self, rules: Iterable[Rule | Mapping[str, Any]] = ()) -> None:
        """Let these things go wrong from now on, in place of those before; none: nothing more.

        Raises:
            HTTPError: status 400; there is no such fault.
        """
        self._put("faults", as_json(rules))

    def _put(self, name: str, value: Any) -> None:
        request = urllib.request.Request(
            f"{self.url}/simulator/{name}",
            json.dumps(value).encode(),
            {"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=120):
            pass

    def requests(self) -> dict[str, int]:
        """How often each resource was asked for, answered (`…_ok`), and went wrong (`fault_…`)."""
        with urllib.request.urlopen(f"{self.url}/simulator/requests", timeout=30) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


@contextmanager
def running(
    config: WorldConfig,
    latency_ms: float = 0.0,
    concurrency: int | None = None,
    faults: Iterable[Rule | Mapping[str, Any]] = (),
) -> Iterator[Server]:
    """Start a simulator on a free port; end it with the block, or with this process.

    Args:
        config: the world it shows.
        latency_ms: milliseconds that each answer takes longer.
        concurrency: requests an account may have in flight; more are refused with 429.
        faults: what goes wrong from the beginning.

    Raises:
        RuntimeError: it did not start; its own words are on standard error.
    """
    process = subprocess.Popen(
        [
            sys.executable, "-m", "simulator", "--until-stdin-closes",
            "--world", json.dumps(config.as_json()), "--latency-ms", str(latency_ms),
            "--faults", json.dumps(as_json(faults)),
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
