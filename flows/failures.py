"""A failed run leaves a record beside those of finished ones: when, which flow, why."""

from __future__ import annotations

import json
import traceback
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from flows.errors import WarehouseError
from flows.metrics import write_metrics
from flows.settings import read_settings


def note_failure(flow: str, error: Exception) -> None:
    """Write `lake/runs/failed/….json`, and the metrics anew.

    The text of an error that was not made for people may hold anything, numbers and bodies as
    well: of those, kind and place are kept. Where no record can be written there is none: the
    failure itself is what must be told.
    """
    now = datetime.now(UTC)
    record = {
        "flow": flow,
        "failed_at": now.isoformat(timespec="seconds"),
        "kind": type(error).__name__,
        "error": str(error) if isinstance(error, WarehouseError) else _place(error),
    }
    with suppress(OSError, WarehouseError):
        settings = read_settings()
        folder = settings.lake / "runs" / "failed"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{flow}-{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.json"
        temporary = path.with_suffix(".writing")
        # Written by a worker whose run crashed, too: that process shares what it writes.
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")
        temporary.replace(path)
        write_metrics(settings)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
