"""Completeness of a lake made by hand: gaps, and what Twilio's usage counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.sql.conftest import Build, LakeRows
from tests.sql.lake_rows import ANA, at, message, read, usage

pytestmark = pytest.mark.xdist_group("sql-completeness")

WHATSAPP = f"whatsapp:{ANA}"
# Twelve hours before the last run of lake_rows.
EARLIER = at("2026-11-09 18:00")


def counted(day: str, category: str, events: int, quantity: int) -> dict[str, Any]:
    """A row of Twilio's usage records that counts."""
    return usage(day, category, "0", event_count=Decimal(events), usage_quantity=Decimal(quantity))


LAKE: LakeRows = {
    "messages": [
        # Sent at the last instant of the 5th in UTC, on the 6th in Madrid.
        message(1, "2026-11-05 23:59", "delivered", segment_count=2),
        message(2, "2026-11-05 10:00", "undelivered", segment_count=3),
        message(3, "2026-11-05 10:00", "received", direction="inbound", sender=ANA),
        # Twilio bills neither of these.
        message(4, "2026-11-05 10:00", "failed"),
        message(5, "2026-11-05 10:00", "canceled", sent_at=None),
        message(6, "2026-11-05 10:00", "queued", sent_at=None),
        message(7, "2026-11-05 10:00", "read", recipient=WHATSAPP, segment_count=2),
        message(8, "2026-11-06 10:00", "read", recipient=WHATSAPP, segment_count=5),
        message(9, "2026-11-06 11:00", "read", recipient="messenger:1", segment_count=2),
        message(10, "2026-11-06 10:00", "delivered"),
        message(11, "2026-11-07 10:00", "delivered"),
        message(12, "2026-11-09 10:00", "delivered"),
        message(13, "2026-11-10 03:00", "delivered"),
        message(14, "2026-11-10 03:00", "delivered", recipient=WHATSAPP, segment_count=3),
    ],
    "extractions": [
        read("messages", "2026-11-05 00:00", "2026-11-07 12:00", EARLIER),
        # The 7th was not read to its end, the 8th not at all.
        read("messages", "2026-11-09 00:00", "2026-11-10 06:00"),
        read("messages", "2026-11-07 12:00", "2026-11-09 00:00", outcome="failed"),
        read("messages", "2026-11-05 12:00", "2026-11-05 13:00"),
        read("usage_records", "2026-11-04 00:00", "2026-11-09 00:00"),
        read("usage_records", "2026-11-10 00:00", "2026-11-10 06:00"),
    ],
    "usage_records": [
        counted("2026-11-05", "sms", 3, 6),
        counted("2026-11-05", "sms-outbound", 2, 5),
        counted("2026-11-06", "sms", 2, 2),
        counted("2026-11-07", "sms", 1, 1),
        counted("2026-11-10", "sms", 0, 0),
        # Its events are sessions: it is the quantity that agrees, in segments.
        counted("2026-11-05", "channels-messaging", 1, 2),
        counted("2026-11-06", "channels-messaging", 1, 7),
        counted("2026-11-10", "channels-messaging", 2, 4),
    ],
}


@pytest.fixture(scope="module")
def build(new_build: Callable[[], Build]) -> Build:
    """The lake above, built."""
    made = new_build()
    made.update(LAKE)
    return made


def test_each_day_is_compared_and_each_gap_shown(build: Build) -> None:
    early, late = datetime(2026, 11, 9, 18), datetime(2026, 11, 10, 6)
    fourth, fifth, sixth, seventh, eighth, ninth, tenth = (
        date(2026, 11, day) for day in range(4, 11)
    )
    assert build.query("from reports.completeness order by all") == [
        # Usage was read from the 4th on, messages from the 5th.
        (fourth, "AC1", "channels", None, 0, None, None, "not extracted"),
        (fourth, "AC1", "sms", None, 0, None, None, "not extracted"),
        (fifth, "AC1", "channels", 1, 2, 0, late, "complete"),
        (fifth, "AC1", "sms", 3, 3, 0, late, "complete"),
        (sixth, "AC1", "channels", 2, 7, 0, early, "complete"),
        (sixth, "AC1", "sms", 1, 2, -1, early, "short"),
        (seventh, "AC1", "channels", None, 0, None, early, "not extracted"),
        (seventh, "AC1", "sms", None, 1, None, early, "not extracted"),
        (eighth, "AC1", "channels", None, 0, None, None, "not extracted"),
        (eighth, "AC1", "sms", None, 0, None, None, "not extracted"),
        (ninth, "AC1", "sms", 1, None, None, late, "no usage"),
        # The day that is not over counts as far as it was read.
        (tenth, "AC1", "channels", 1, 4, -1, late, "short"),
        (tenth, "AC1", "sms", 1, 0, 1, late, "over"),
    ]


def test_the_mart_says_what_twilio_counts(build: Build) -> None:
    assert build.query(
        "select distinct channel_group, counted_unit from marts.daily_completeness order by all"
    ) == [("channels", "segments"), ("sms", "messages")]
