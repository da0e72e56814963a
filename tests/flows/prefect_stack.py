"""A real Prefect server with its database, a worker, and its REST API, for tests."""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))
_PREPARING = ("prefect work-pool create", "prefect work-queue create", "prefect --no-prompt deploy")
_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Stack:
    """Prefect's server on 127.0.0.1, and whoever works for it, as long as the block lasts."""

    def __init__(self, folder: Path, database_url: str | None, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        home = folder / "prefect"
        home.mkdir()
        outside = ("PREFECT_", "TWILIO_", "WAREHOUSE_")
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(outside)},
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PYTHONPATH": str(PROJECT),
            "PWD": str(PROJECT),
            **settings,
        }
        if database_url is not None:
            self.env["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database_url

    @contextmanager
    def server(self) -> Iterator[None]:
        """The server, from when it answers until the block ends."""
        command = (PREFECT, "server", "start", "--port", str(self.port), "--no-ui")
        with self._process(*command, log=self.folder / "server.log"):
            self.wait("server", 120, lambda: self.ask("/health"))
            yield

    @contextmanager
    def worker(self) -> Iterator[psutil.Process]:
        """A worker as operations.md starts it; what it prints is in `log`."""
        (command,) = [line for line in documented() if line.startswith("prefect worker start")]
        with self._process(PREFECT, *shlex.split(command)[1:], log=self.log) as started:
            yield psutil.Process(started.pid)

    @property
    def log(self) -> Path:
        """What workers and the runs they started have printed."""
        return self.folder / "worker.log"

    def set_up_as_documented(self) -> None:
        """Run the commands of operations.md that prepare a server for this project."""
        commands = [line for line in documented() if line.startswith(_PREPARING)]
        assert len(commands) == len(_PREPARING), commands
        for command in commands:
            self.prefect(*shlex.split(command)[1:])

    def prefect(self, *arguments: str) -> str:
        """Run a command of Prefect's; what it printed."""
        done = subprocess.run(
            [PREFECT, *arguments], env=self.env, cwd=PROJECT,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """An answer of the REST API; POST if there is a body."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        for pause in (0.5, 1, 2, 4, 8, 0):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                # SQLite has one writer: the server is busy now and then, and says so.
                if error.code != 503 or not pause:
                    raise
                time.sleep(pause)
        raise AssertionError("not reached")

    def wait(self, what: str, seconds: float, found: Callable[[], Any]) -> Any:
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
        log = self.log.read_text()[-4000:] if self.log.exists() else ""
        raise AssertionError(f"{what}: not within {seconds:.0f} s\n{log}")

    def create_run(self, deployment: Mapping[str, Any], **parameters: Any) -> str:
        """Ask for a run by hand; its id."""
        path = f"/deployments/{deployment['id']}/create_flow_run"
        return str(self.ask(path, {"parameters": parameters})["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """A flow run as the server knows it."""
        found: dict[str, Any] = self.ask(f"/flow_runs/{run_id}")
        return found

    def wait_for_end(self, run_id: str, seconds: float) -> dict[str, Any]:
        """A run once it has ended, whichever way."""

        def ended() -> dict[str, Any] | None:
            run = self.run(run_id)
            return run if run["state"]["type"] in _ENDED else None

        found: dict[str, Any] = self.wait(f"the end of run {run_id}", seconds, ended)
        return found

    def scheduled(self, deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The runs Prefect's scheduler has made of a deployment's schedules, soonest first."""
        found: list[dict[str, Any]] = self.ask(
            "/flow_runs/filter",
            {
                "deployments": {"id": {"any_": [deployment["id"]]}},
                "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
                "sort": "EXPECTED_START_TIME_ASC",
            },
        )
        return [run for run in found if run["auto_scheduled"]]

    @contextmanager
    def _process(self, *command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        with log.open("ab") as output:
            started = subprocess.Popen(
                command, env=self.env, cwd=PROJECT, stdout=output, stderr=output,
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


def documented() -> list[str]:
    """The commands of Prefect that operations.md tells an operator to run, each once."""
    page = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    return list(dict.fromkeys(re.findall(r"^(prefect .*?)(?:\s+#.*)?$", page, re.MULTILINE)))


def kill_hard(process: psutil.Process) -> None:
    """End a process and all it started at once, as a power failure does."""
    for victim in [process, *process.children(recursive=True)]:
        victim.kill()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def postgresql_programs() -> Path | None:
    """Where Debian keeps the newest PostgreSQL's programs; None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def postgresql(programs: Path) -> Iterator[str]:
    """An empty PostgreSQL database of its own; the URL that Prefect takes."""
    folder = Path(tempfile.mkdtemp(prefix="prefect-postgresql-"))
    port = free_port()
    # The programs refuse to run as root.
    user = "postgres" if os.getuid() == 0 else None
    owner = user or pwd.getpwuid(os.getuid()).pw_name
    if user:
        shutil.chown(folder, user)

    def call(*command: str) -> None:
        subprocess.run(
            [str(programs / command[0]), *command[1:]],
            user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip

    data = str(folder / "data")
    call("initdb", "--pgdata", data, "--auth", "trust", "--no-sync", "--username", owner)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -F"
    call("pg_ctl", "start", "--wait", "--pgdata", data, "--options", options,
         "--log", str(folder / "log"))  # fmt: skip
    try:
        yield f"postgresql+asyncpg://{owner}@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "stop", "--wait", "--pgdata", data, "--mode", "immediate")
        shutil.rmtree(folder, ignore_errors=True)
