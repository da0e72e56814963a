"""KPIs and errors of a lake made by hand; the expected figures are worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.sql.conftest import Build, LakeRows
from tests.sql.lake_rows import ANA, at, message, priced, read, usage

pytestmark = pytest.mark.xdist_group("sql-kpis")

SECOND, THIRD, MONTH = date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 1)


def sent_after(seconds: int, number: int, moment: str, status: str, **values: Any) -> Any:
    """An outbound message that was sent some seconds after its creation, at the moment given."""
    created_at = at(moment) - timedelta(seconds=seconds)
    return message(number, moment, status, **{"created_at": created_at, **values})


LAKE: LakeRows = {
    "accounts": [
        {"account_sid": "AC1", "owner_account_sid": "AC1", "status": "active",
         "created_at": at("2020-01-01 00:00")},
        # Created when the 2nd ended in Madrid.
        {"account_sid": "AC2", "owner_account_sid": "AC1", "status": "active",
         "created_at": at("2026-11-02 23:00")},
    ],
    "messages": [
        sent_after(1, 1, "2026-11-02 10:00", "delivered", segment_count=2, **priced("-0.0075")),
        sent_after(3, 2, "2026-11-02 11:00", "read", **priced("-0.0075")),
        # The 3rd in Madrid, the 2nd as Twilio bills.
        sent_after(0, 3, "2026-11-02 23:30", "failed", error_code=30007),
        sent_after(5, 4, "2026-11-03 12:00", "undelivered", error_code=30003, **priced("-0.01")),
        message(5, "2026-11-03 13:00", "received", direction="inbound", sender=ANA,
                is_opt_out_request=True, **priced("-0.005")),
        message(6, "2026-11-03 14:00", "accepted", sent_at=None),
        # Was to wait for a day.
        sent_after(86_400, 7, "2026-11-03 15:00", "delivered", **priced("-0.0075")),
        sent_after(9, 8, "2026-11-03 12:00", "delivered", account_sid="AC2", segment_count=3,
                   **priced("-0.02")),
        sent_after(2, 9, "2026-11-03 12:00", "sent", account_sid="AC2", error_code=63033,
                   recipient=f"whatsapp:{ANA}", **priced("-0.005")),
        sent_after(2, 10, "2026-11-03 12:00", "failed", account_sid="AC2", error_code=77777),
        sent_after(2, 11, "2026-11-03 12:00", "failed", account_sid="AC2"),
    ],
    "message_changes": [
        {"message_sid": "SM7", "field": "status", "account_sid": "AC1",
         "observed_at": at("2026-11-03 06:00"), "old_value": "scheduled", "new_value": "sent"},
    ],
    "extractions": [
        read("messages", "2026-10-31 23:00", "2026-11-10 06:00"),
        read("unsent_messages", "2026-10-31 23:00", "2026-11-10 06:00"),
        read("usage_records", "2026-11-01 00:00", "2026-11-10 06:00"),
        read("messages", "2026-11-02 23:00", "2026-11-10 06:00", account_sid="AC2"),
        read("usage_records", "2026-11-02 00:00", "2026-11-10 06:00", account_sid="AC2"),
    ],
    "usage_records": [
        usage("2026-11-02", "totalprice", "1"),
        usage("2026-11-02", "sms", "0.5"),
        usage("2026-11-02", "sms-outbound", "0.5"),
        usage("2026-11-02", "failed-message-processing-fee", "0.001"),
        usage("2026-11-02", "calls", "0.1", event_count=Decimal(2)),
        usage("2026-11-03", "totalprice", "2"),
        usage("2026-11-03", "totalprice", "0.25", account_sid="AC2"),
        usage("2026-11-03", "channels-messaging", "0.05", account_sid="AC2"),
        usage("2026-11-03", "calls", "0.2", account_sid="AC2", event_count=Decimal(1)),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def build(new_build: Callable[[], Build]) -> Build:
    """The lake above, built."""
    made = new_build()
    made.update(LAKE)
    return made


def kpis(build: Build, account_sid: str, period: str, start: date) -> dict[str, tuple[Any, ...]]:
    """Value, numerator, denominator, is_met and is_settled of each KPI."""
    rows = build.query(
        "select kpi, value, numerator, denominator, is_met, is_settled from reports.kpis "
        f"where account_sid = '{account_sid}' and period = '{period}' "
        f"and period_start = '{start}'"
    )
    return {kpi: tuple(values) for kpi, *values in rows}


def test_a_day_of_an_account(build: Build) -> None:
    assert kpis(build, "AC1", "day", SECOND) == {
        "messages_sent": (2.0, 2.0, None, False, True),
        # Two messages are too few to judge a rate.
        "delivery_rate": (1.0, 2.0, 2.0, None, True),
        "error_rate": (0.0, 0.0, 2.0, None, True),
        "blocked_rate": (0.0, 0.0, 2.0, None, True),
        # Between 1 s and 3 s, at 95 % of the way.
        "seconds_to_send_p95": (pytest.approx(2.9), None, 2.0, None, True),
        "opt_out_count": (0.0, 0.0, None, True, True),
        # Of the day in GMT, which has the message of 23:30 too.
        "total_cost": (1.0, 1.0, None, None, True),
        "cost_per_message": (0.5 / 3, 0.5, 3.0, None, True),
        "cost_per_segment": (0.5 / 4, 0.5, 4.0, None, True),
        "cost_of_failures": (0.001, 0.001, 1.0, None, True),
        "cost_per_call": (0.05, 0.1, 2.0, None, True),
    }
    assert kpis(build, "AC1", "day", THIRD) == {
        "messages_sent": (3.0, 3.0, None, False, False),
        "delivery_rate": (1 / 3, 1.0, 3.0, None, False),
        "error_rate": (2 / 3, 2.0, 3.0, None, False),
        "blocked_rate": (1 / 3, 1.0, 3.0, None, False),
        # Of 0 s and 5 s; the scheduled one is left out.
        "seconds_to_send_p95": (pytest.approx(4.75), None, 2.0, None, False),
        "opt_out_count": (1.0, 1.0, None, False, False),
        "total_cost": (2.0, 2.0, None, None, True),
        "cost_per_message": (0.0, 0.0, 4.0, None, False),
        "cost_per_segment": (0.0, 0.0, 4.0, None, False),
        "cost_of_failures": (0.01, 0.01, 1.0, None, False),
        "cost_per_call": (None, None, None, None, True),
    }


def test_a_day_of_all_accounts(build: Build) -> None:
    # The other account did not exist on the 2nd in Madrid; in GMT it did, for an hour, and that day
    # was not read whole.
    second = kpis(build, "AC1", "day", SECOND)
    for kpi in ("cost_per_message", "cost_per_segment", "cost_of_failures"):
        second[kpi] = (*second[kpi][:-1], False)
    assert kpis(build, "all", "day", SECOND) == second
    third = kpis(build, "all", "day", THIRD)
    assert third["messages_sent"][0] == 7.0
    assert third["delivery_rate"][:3] == (2 / 7, 2.0, 7.0)
    # Filtered as spam, and blocked by the person.
    assert third["blocked_rate"][:3] == (2 / 7, 2.0, 7.0)
    # Of 0, 2, 2, 2, 5 and 9 s: position 4.75, counted from 0.
    assert third["seconds_to_send_p95"][:3] == (pytest.approx(8.0), None, 6.0)
    assert third["total_cost"][0] == 2.25
    assert third["cost_per_message"][:3] == (0.05 / 8, 0.05, 8.0)
    assert third["cost_of_failures"][:3] == (0.01, 0.01, 3.0)
    assert third["cost_per_call"][:3] == (0.2, 0.2, 1.0)


def test_a_silent_day_has_sent_none_and_a_day_not_read_has_no_figures(build: Build) -> None:
    silent = kpis(build, "AC1", "day", date(2026, 11, 5))
    assert silent["messages_sent"] == (0.0, 0.0, None, False, True)
    assert silent["delivery_rate"] == (None, 0.0, 0.0, None, True)
    assert silent["seconds_to_send_p95"] == (None, None, 0.0, None, True)
    assert "total_cost" not in silent
    assert kpis(build, "AC1", "day", date(2026, 11, 10))["messages_sent"][-1] is False
    assert kpis(build, "AC1", "day", date(2026, 10, 31)) == {}
    assert kpis(build, "AC2", "day", SECOND) == {}


def test_a_month_and_its_forecast(build: Build) -> None:
    month = kpis(build, "all", "month", MONTH)
    assert month["messages_sent"] == (9.0, 9.0, None, None, False)
    assert month["delivery_rate"][:3] == (4 / 9, 4.0, 9.0)
    # 3.25 of a budget of 100.
    assert month["total_cost"] == (3.25, 3.25, None, True, False)
    # Two days are no history to judge by. Of the days left, Monday the 16th, 23rd and 30th are
    # expected to cost 1, Tuesdays 10, 17 and 24 2, the others their mean 1.5; the second account
    # knows one Tuesday of 0.25, so every day is expected to cost that.
    expected = (1 + 2 + 3 * 1 + 3 * 2 + 15 * 1.5) + (0.25 + 21 * 0.25)
    assert month["forecast_cost"] == (pytest.approx(expected), 3.25, 2.0, None, False)
    assert kpis(build, "AC1", "month", MONTH)["total_cost"] == (3.0, 3.0, None, None, False)


def test_errors_by_code(build: Build) -> None:
    rows = build.query(
        "select account_sid, channel, error_code, message_count, share_of_attempted, title, "
        "is_blocked, is_retryable from reports.errors_by_code "
        f"where message_date = '{THIRD}' order by all"
    )
    assert rows == [
        ("AC1", "sms", 30003, 1, 1 / 3, "Phone unreachable", False, True),
        ("AC1", "sms", 30007, 1, 1 / 3, "Filtered as spam", True, False),
        ("AC2", "sms", 0, 1, 1 / 3, "Failed without a code", False, True),
        ("AC2", "sms", 77777, 1, 1 / 3, "Code not in our list", None, None),
        ("AC2", "whatsapp", 63033, 1, 1.0, "Recipient blocked you", True, False),
    ]
