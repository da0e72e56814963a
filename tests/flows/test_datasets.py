"""Which rows of an answer belong to the window they were asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from flows.datasets import MESSAGES_SENT, MESSAGES_UNSENT, USAGE
from transforms.windows import Window

START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
BEFORE = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)


def kept(dataset: object, *rows: tuple[datetime | None, datetime]) -> list[bool]:
    instants = pa.timestamp("us", "UTC")
    table = pa.table(
        {
            "sent_at": pa.array([sent for sent, _ in rows], instants),
            "created_at": pa.array([created for _, created in rows], instants),
        }
    )
    starts, ends = (pa.array([at] * len(rows), instants) for at in (START, END))
    return dataset.belongs(table, starts, ends).to_pylist()  # type: ignore[attr-defined]


def test_a_window_holds_its_start_and_not_its_end() -> None:
    assert kept(MESSAGES_SENT, (BEFORE, BEFORE), (START, BEFORE), (END, START)) == [
        False,
        True,
        False,
    ]


def test_a_message_without_date_sent_that_a_window_shows_is_kept() -> None:
    assert kept(MESSAGES_SENT, (None, START), (None, BEFORE)) == [True, True]


def test_the_scan_keeps_what_was_sent_or_else_created_in_its_time() -> None:
    assert kept(MESSAGES_UNSENT, (None, START), (None, BEFORE), (START, BEFORE), (END, START)) == [
        True,
        False,
        True,
        False,
    ]


def test_usage_is_asked_for_by_inclusive_days_of_one_account_alone() -> None:
    window = Window("usage_records", "AC1", START, datetime(2026, 12, 1, tzinfo=UTC))
    assert USAGE.parameters(window) == {
        "StartDate": "2026-11-01",
        "EndDate": "2026-11-30",
        "IncludeSubaccounts": "false",
    }
