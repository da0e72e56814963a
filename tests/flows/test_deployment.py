"""prefect.yaml against a real Prefect server: it deploys, it is scheduled, a worker runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulator.process import running
from simulator.world import WorldConfig

PROJECT = Path(__file__).resolve().parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def process(*command: str, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        started = subprocess.Popen(
            command, env=env, cwd=PROJECT, stdout=output, stderr=output,
            # A shell may have left it ignored, and Prefect's worker then never ends.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        try:
            yield started
        finally:
            started.terminate()
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


class Api:
    """Prefect's REST API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def wait(self, what: str, seconds: float, found: Any) -> Any:
        """Whatever `found` gives once it is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                value = found()
            except OSError:
                value = None
            if value:
                return value
            time.sleep(0.5)
        raise AssertionError(f"{what}: not within {seconds:.0f} s")


def test_the_daily_deployment_is_scheduled_and_a_worker_runs_it(tmp_path: Path) -> None:
    port = free_port()
    api = Api(f"http://127.0.0.1:{port}/api")
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    config = WorldConfig(messages=500, days=2, accounts=2, seed=2, until=now)
    with running(config) as account:
        home = tmp_path / "prefect"
        home.mkdir()
        env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": api.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PWD": str(PROJECT),
            "TWILIO_ACCOUNT_SID": account.account_sid,
            "TWILIO_AUTH_TOKEN": account.auth_token,
            "TWILIO_API_BASE_URL": account.url,
            "WAREHOUSE_DATA_ROOT": str(tmp_path / "data"),
            "WAREHOUSE_INITIAL_DAYS": "2",
        }

        def prefect(*arguments: str) -> str:
            done = subprocess.run(
                [PREFECT, "--no-prompt", *arguments], env=env, cwd=PROJECT,
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        server = process(PREFECT, "server", "start", "--port", str(port), "--no-ui", env=env,
                         log=tmp_path / "server.log")  # fmt: skip
        with server:
            api.wait("server", 120, lambda: api.ask("/health"))
            prefect("work-pool", "create", "twilio-warehouse", "--type", "process")
            prefect("deploy", "--all")
            prefect("deploy", "--all")  # again: nothing doubles

            deployments = api.ask("/deployments/filter", {})
            assert {d["name"] for d in deployments} == {"daily", "backfill", "rebuild"}
            (daily,) = [d for d in deployments if d["name"] == "daily"]
            assert daily["concurrency_limit"] is not None or daily["global_concurrency_limit"]

            def scheduled() -> int:
                return int(
                    api.ask(
                        "/flow_runs/count",
                        {
                            "deployments": {"id": {"any_": [daily["id"]]}},
                            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
                        },
                    )
                )

            # An unlucky version of a dependency breaks the scheduler alone, without a word.
            api.wait("scheduled runs", 90, scheduled)

            worker = process(PREFECT, "worker", "start", "--pool", "twilio-warehouse", env=env,
                             log=tmp_path / "worker.log")  # fmt: skip
            with worker:
                run = api.ask(
                    f"/deployments/{daily['id']}/create_flow_run",
                    {"parameters": {"now": now.isoformat()}},
                )

                def finished() -> Any:
                    state = api.ask(f"/flow_runs/{run['id']}")["state"]
                    return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED") else None

                state = api.wait("the run", 150, finished)
            log = (tmp_path / "worker.log").read_text()
            assert state["type"] == "COMPLETED", log[-3000:]
            names = {
                task["name"]
                for task in api.ask(
                    "/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}}
                )
            }
            assert f"extract messages {now:%Y-%m-%d} {account.account_sid}" in names
            assert {"load", "model", "publish", "report"} <= {n.split("-")[0] for n in names}
            assert account.auth_token not in log
        assert (tmp_path / "data" / "reports" / "daily_volume.csv").exists()


@pytest.mark.parametrize("flow", ["daily", "backfill", "rebuild"])
def test_every_deployed_flow_is_where_prefect_yaml_says(flow: str) -> None:
    text = (PROJECT / "prefect.yaml").read_text()
    assert f"entrypoint: flows/{flow}.py:{flow}" in text
    assert (PROJECT / "flows" / f"{flow}.py").exists()
