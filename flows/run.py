"""One run: its clock, its settings, and the ledger it writes."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import filelock
import pyarrow as pa

from flows.errors import WarehouseError
from flows.lake import Lake
from flows.settings import Settings
from flows.twilio_api import Connection
from transforms.tables import ACCOUNTS, EXTRACTIONS
from transforms.windows import Window


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
        extractions: what came of each window asked for so far.
        notices: what the operator should know, in sentences.
        accounts: rows of `accounts` once they are known.
    """

    def __init__(self, settings: Settings, now: datetime, run_id: str) -> None:
        self.settings = settings
        self.now = now
        self.run_id = run_id
        self.extractions: list[Extraction] = []
        self.notices: list[str] = []
        self.reject_count = 0
        self.accounts = ACCOUNTS.schema.empty_table()
        self._taken = 0
        self._scans: list[Window] = []
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
        with self._lock:
            self.extractions.append(extraction)

    def note_scan(self, window: Window) -> None:
        """The newest pages of an account were read without a filter, back to the window's start."""
        with self._lock:
            self._scans.append(window)

    def was_scanned(self, window: Window) -> bool:
        """Whether a message window lies within what a scan of this run has read already."""
        return window.dataset == "messages" and any(
            scan.account_sid == window.account_sid
            and scan.start <= window.start
            and window.end <= scan.end
            for scan in self._scans
        )

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

    def take_ledger(self) -> pa.Table:
        """Ledger rows of what was noted since they were last taken."""
        with self._lock:
            extractions = self.extractions[self._taken :]
            self._taken = len(self.extractions)
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
    instant = datetime.now(UTC) if now is None else now
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    instant = instant.replace(microsecond=0)
    return Run(settings, instant, f"{name}-{instant:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}")


@contextmanager
def writing(settings: Settings) -> Iterator[None]:
    """Hold the only right to write below the data root; wait for another run that has it.

    Raises:
        WarehouseError: another run held it longer than WAREHOUSE_LOCK_WAIT.
    """
    settings.build.mkdir(parents=True, exist_ok=True)
    settings.lake.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(settings.root / "write.lock")
    try:
        with lock.acquire(timeout=settings.lock_wait.total_seconds()):
            Lake(settings.lake).recover()
            yield
    except filelock.Timeout:
        raise WarehouseError(
            f"Another run has been writing to {settings.root} for {settings.lock_wait}. "
            "Wait for it, or raise WAREHOUSE_LOCK_WAIT."
        ) from None
