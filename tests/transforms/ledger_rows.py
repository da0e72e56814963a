"""A moment, an account and rows of its ledger, for what is decided from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

NOW = datetime(2026, 11, 10, 6, tzinfo=UTC)
ACCOUNT = "AC" + "1" * 32
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def seconds(*instants: datetime) -> np.ndarray:
    """Instants as plans have them: seconds since 1970, UTC."""
    return np.array([int(instant.timestamp()) for instant in instants], dtype=np.int64)


def extraction(
    dataset: str, start: datetime, end: datetime, read_at: datetime, outcome: str = "ok"
) -> dict[str, Any]:
    """A row of the ledger."""
    return {
        "run_id": "r", "dataset": dataset, "account_sid": ACCOUNT, "window_start": start,
        "window_end": end, "read_at": read_at, "outcome": outcome, "page_count": 1,
        "record_count": 1, "detail": None,
    }  # fmt: skip
