"""What is held beside what Twilio counts, written down by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from simulator.observed import MESSAGES, USAGE, Read, known_messages
from simulator.truth import expected_reports
from simulator.truth.billed import Billed
from simulator.truth.completeness import completeness
from simulator.truth.ledger import Ledger
from simulator.truth.seen import seen
from simulator.usage import Amounts
from simulator.world import World
from tests.simulator.test_truth import at, message, small_world

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
FIRST, SECOND, THIRD = (datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3))


def read(world: World, dataset: str, start: datetime, end: datetime, *, at: datetime = NOON,
         outcome: str = "ok") -> Read:  # fmt: skip
    return Read(dataset, world.main.sid, start, end, at, outcome=outcome)


def rows_of(world: World, *reads: Read, group: str = "sms") -> dict[int, dict[str, Any]]:
    """Rows of a group by their day of November."""
    rows = expected_reports(world, NOON, "UTC", FIRST, reads=reads)["completeness"]
    return {row["usage_date"].day: row for row in rows if row["channel_group"] == group}


def test_a_day_by_hand() -> None:
    world = small_world(
        message("SM1", at(1, 10)),
        message("SM2", at(1, 11), "failed", error_code=30003, priced=None),
        message("SM3", at(1, 12), "undelivered", priced=None),
        message("SM4", at(1, 13), "received", direction="inbound"),
        message("SM5", at(1, 14), channel="whatsapp", recipient="whatsapp:+340000000001"),
        message("SM6", at(1, 15), sent=None, priced=None, steps=((at(1, 15), "scheduled"),)),
    )
    rows = expected_reports(world, NOON, "UTC", FIRST)["completeness"]
    assert rows == [
        {
            "usage_date": date(2026, 11, 1), "account_sid": world.main.sid,
            "channel_group": group, "message_count": count, "usage_count": count,
            "difference": 0, "last_extracted_at": datetime(2026, 11, 3, 12), "state": "complete",
        }
        for group, count in [("channels", 1), ("sms", 3)]
    ]  # fmt: skip


def test_what_was_not_read_is_no_zero() -> None:
    world = small_world(*(message(f"SM{day}", at(day, 10)) for day in (1, 2, 3)))
    usage = read(world, USAGE, FIRST, NOON)
    rows = rows_of(world, read(world, MESSAGES, SECOND, THIRD), usage)
    shown = ("message_count", "usage_count", "difference", "state")
    assert {day: tuple(row[name] for name in shown) for day, row in rows.items()} == {
        1: (None, 1, None, "not extracted"),
        2: (1, 1, 0, "complete"),
        3: (None, 1, None, "not extracted"),
    }
    assert rows[1]["last_extracted_at"] is None
    # A window that holds a part of a day says when that was read, but does not cover it.
    rows = rows_of(world, read(world, MESSAGES, FIRST + timedelta(hours=1), THIRD), usage)
    assert (rows[1]["state"], rows[1]["last_extracted_at"]) == (
        "not extracted", datetime(2026, 11, 3, 12),
    )  # fmt: skip
    # A refused window begins the account's days.
    refused = read(world, USAGE, FIRST - timedelta(days=1), FIRST, outcome="denied")
    rows = expected_reports(world, NOON, "UTC", FIRST, reads=[
        refused, usage, read(world, MESSAGES, FIRST, NOON),
    ])["completeness"]  # fmt: skip
    assert (rows[0]["usage_date"], rows[0]["state"], rows[0]["usage_count"]) == (
        date(2026, 10, 31), "not extracted", None,
    )  # fmt: skip


def test_days_without_twilios_figures_say_so() -> None:
    world = small_world(message("SM1", at(1, 10)), message("SM3", at(3, 10)))
    rows = rows_of(world, read(world, MESSAGES, FIRST, NOON), read(world, USAGE, FIRST, SECOND))
    assert {day: (row["usage_count"], row["difference"], row["state"])
            for day, row in rows.items()} == {
        1: (1, 0, "complete"), 3: (None, None, "no usage"),
    }  # fmt: skip


def test_the_running_day_counts_as_far_as_it_was_read() -> None:
    world = small_world(message("SM3", at(3, 10)))
    whole = [read(world, MESSAGES, FIRST, NOON), read(world, USAGE, FIRST, NOON)]
    assert rows_of(world, *whole)[3]["state"] == "complete"
    # Read at midnight sharp, the day that ends then is the running one.
    midnight = [read(world, dataset, FIRST, THIRD, at=THIRD) for dataset in (MESSAGES, USAGE)]
    assert rows_of(world, *midnight) == {}


@pytest.mark.parametrize(("deleted", "usage_read_at", "state", "difference"), [
    (at(3, 11), NOON, "short", -1),
    (None, NOON - timedelta(hours=3), "over", 1),
])  # fmt: skip
def test_a_difference_has_a_side(
    deleted: int | None, usage_read_at: datetime, state: str, difference: int
) -> None:
    world = small_world(
        message("SM1", at(3, 8)), message("SM2", at(3, 10), deleted=deleted)
    )  # fmt: skip
    row = rows_of(
        world,
        read(world, MESSAGES, THIRD, NOON),
        read(world, USAGE, THIRD, usage_read_at, at=usage_read_at),
    )[3]
    assert (row["state"], row["difference"]) == (state, difference)


@pytest.mark.parametrize(("count", "usage", "usage_count", "difference"), [
    ((1, 1), (2, 2), (1, 1), (0, 0)),  # messages
    ((9, 9), (2, 2), (2, 2), (0, 0)),  # quantity in segments
    ((2, 2), (9, 9), (2, 2), (0, 0)),  # events in segments
    ((9, 9), (1, 1), (1, 1), (0, 0)),  # quantity in messages
    ((9, 9), (9, 9), (9, 9), (-8, -8)),  # neither: messages
    ((9, 1), (2, 9), (9, 1), (-8, 0)),  # a day each: messages come first
    ((9, 9), (2, 9), (2, 9), (0, -7)),  # a loss is not taken for another unit
])  # fmt: skip
def test_what_twilio_counts_is_what_agrees_on_most_days(
    count: tuple[int, int], usage: tuple[int, int], usage_count: tuple[int, int],
    difference: tuple[int, int],
) -> None:  # fmt: skip
    world = small_world(message("SM1", at(1, 10)), message("SM2", at(2, 10)))
    sid = world.main.sid
    reads = [read(world, dataset, FIRST, NOON) for dataset in (MESSAGES, USAGE)]
    messages = [seen(world, known, ZoneInfo("UTC")) for known in known_messages(world, reads)]
    billed = Billed({
        date(2026, 11, day + 1): {"sms": Amounts(count[day], usage[day], 5)} for day in (0, 1)
    })  # fmt: skip
    rows = completeness(messages, {sid: billed}, Ledger(world, reads, NOON))
    assert [row["usage_count"] for row in rows] == list(usage_count)
    assert [row["difference"] for row in rows] == list(difference)
    assert [row["message_count"] for row in rows] == [1, 1]
