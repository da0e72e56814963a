"""One run: its clock, its settings, and the ledger it writes."""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import filelock
import pyarrow as pa

from flows import progress
from flows.datasets import DATASETS
from flows.errors import WarehouseError
from flows.lake import Lake
from flows.memory import keep_what_is_freed
from flows.orchestration import logger
from flows.scanning import Scans
from flows.settings import Settings
from flows.twilio_api import Connection
from transforms.tables import ACCOUNTS, EXTRACTIONS
from transforms.windows import Window

_FAILURES_IN_A_ROW = 3


@dataclass(frozen=True)
class Extraction:
    """What came of one window: a row of the ledger, and its error if there was one."""

    window: Window
    outcome: str
    page_count: int
    record_count: int
    detail: str | None = None


class Run:
    """What every step of one run shares.

    Attributes:
        now: the run's only clock, UTC, whole seconds.
        started_at: the instant it began, UTC, for its duration alone.
        flow: which flow it is a run of.
        extractions: what came of each window asked for so far.
        notices: what the operator should know, in sentences.
        accounts: rows of `accounts` once they are known.
        scans: how far the scans of the newest messages have come.
    """

    def __init__(self, settings: Settings, now: datetime, run_id: str, flow: str) -> None:
        self.settings = settings
        self.now = now
        self.started_at = datetime.now(UTC)
        self.run_id = run_id
        self.flow = flow
        self.extractions: list[Extraction] = []
        self.notices: list[str] = []
        self.reject_count = 0
        self.accounts = ACCOUNTS.schema.empty_table()
        self.scans = Scans()
        self._unwritten: list[Extraction] = []
        self._failures: dict[tuple[str, str], list[Extraction]] = {}
        self._lock = threading.Lock()

    @cached_property
    def lake(self) -> Lake:
        """The lake this run reads and writes."""
        return Lake(self.settings.lake)

    @cached_property
    def connection(self) -> Connection:
        """The connection to Twilio; made when it is first needed."""
        return Connection(self.settings)

    def record(self, extraction: Extraction) -> None:
        """Note what came of a window. Any thread may call it."""
        window = extraction.window
        key = window.account_sid, DATASETS[window.dataset].resource
        with self._lock:
            self.extractions.append(extraction)
            if extraction.outcome in ("failed", "denied"):
                self._failures.setdefault(key, []).append(extraction)
            else:
                self._failures.pop(key, None)
        logger().info(
            "%s %s %s: %s, %d page(s), %d record(s)%s",
            window.dataset, window.label, window.account_sid, extraction.outcome,
            extraction.page_count, extraction.record_count,
            f". {extraction.detail}" if extraction.detail else "",
        )  # fmt: skip

    def record_account_list(self, extraction: Extraction) -> None:
        """Note how reading the accounts went; it goes with what is written next."""
        self.record(extraction)
        with self._lock:
            self._unwritten.append(extraction)

    def take_unwritten(self) -> list[Extraction]:
        """What was noted beside all windows and is not in the ledger yet."""
        with self._lock:
            taken, self._unwritten = self._unwritten, []
        return taken

    def correct(self, extraction: Extraction, corrected: Extraction) -> None:
        """Put another word in place of what was noted of a window."""
        with self._lock:
            self.extractions[self.extractions.index(extraction)] = corrected

    def why_given_up(self, window: Window) -> Extraction | None:
        """The failure for which the window's account is asked for this resource no more in this
        run: it was refused, or several windows failed one after the other."""
        key = window.account_sid, DATASETS[window.dataset].resource
        with self._lock:
            failures = self._failures.get(key, [])
            is_refused = any(failure.outcome == "denied" for failure in failures)
            return failures[0] if is_refused or len(failures) >= _FAILURES_IN_A_ROW else None

    def is_finished(self, run_id: str) -> bool:
        """Whether a run came to its end, whatever it could not read."""
        return self._record_of(run_id).exists()

    def keep_summary(self, summary: Mapping[str, Any]) -> None:
        """Write what the run came to into the lake: the mark that it ended."""
        path = self._record_of(self.run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".writing")
        temporary.write_text(json.dumps(summary, indent=2, default=str, ensure_ascii=False))
        temporary.replace(path)

    def _record_of(self, run_id: str) -> Path:
        return self.settings.lake / "runs" / f"{run_id}.json"

    def is_active(self, account_sid: str) -> bool:
        """Whether an account is not known to be suspended or closed."""
        states = dict(
            zip(
                self.accounts["account_sid"].to_pylist(),
                self.accounts["status"].to_pylist(),
                strict=True,
            )
        )
        return states.get(account_sid) not in ("suspended", "closed")

    def ledger(self, extractions: Iterable[Extraction]) -> pa.Table:
        """Ledger rows of what came of some windows."""
        rows = [
            {
                "run_id": self.run_id,
                "dataset": extraction.window.dataset,
                "account_sid": extraction.window.account_sid,
                "window_start": extraction.window.start,
                "window_end": extraction.window.end,
                "read_at": self.now,
                "outcome": extraction.outcome,
                "page_count": extraction.page_count,
                "record_count": extraction.record_count,
                "detail": extraction.detail,
            }
            for extraction in extractions
        ]
        return pa.Table.from_pylist(rows, schema=EXTRACTIONS.schema)


def start_run(settings: Settings, now: datetime | None = None, name: str = "run") -> Run:
    """A run as of `now`, the present by default; an instant without offset is UTC."""
    # What is kept are people's numbers and what they cost: for the owner's eyes only.
    os.umask(0o077)
    keep_what_is_freed()
    instant = datetime.now(UTC) if now is None else now
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    instant = instant.replace(microsecond=0)
    run_id = f"{name}-{instant:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    return Run(settings, instant, run_id, name)


@contextmanager
def writing(run: Run) -> Iterator[None]:
    """Hold the only right to write below the data root; wait for another run that has it.

    Raises:
        WarehouseError: another run held it longer than WAREHOUSE_LOCK_WAIT.
    """
    settings = run.settings
    settings.build.mkdir(parents=True, exist_ok=True)
    settings.lake.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(settings.root / "write.lock")
    holder = settings.root / "write.lock.json"
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        waiting = f"Waiting for {_describe_holder(holder)}, which is writing."
        progress.say(waiting)
        logger().warning("%s", waiting)
        try:
            lock.acquire(timeout=settings.lock_wait.total_seconds())
        except filelock.Timeout:
            raise WarehouseError(
                f"{_describe_holder(holder)} has been writing to {settings.root} for over "
                f"{settings.lock_wait}. Wait for it, or raise WAREHOUSE_LOCK_WAIT."
            ) from None
    try:
        holder.write_text(
            json.dumps(
                {
                    "run": run.run_id,
                    "process": os.getpid(),
                    "host": socket.gethostname(),
                    "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
                }
            )
        )
        Lake(settings.lake).recover()
        yield
    finally:
        lock.release()


def _describe_holder(holder: Path) -> str:
    try:
        said = json.loads(holder.read_text())
        where = f"process {said['process']} on {said['host']}, since {said['since']}"
        return f"run {said['run']} ({where})"
    except (OSError, ValueError, KeyError):
        return "another run"
