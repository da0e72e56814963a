"""Costs of a lake made by hand: prices beside usage, and a total that does not add up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from tests.sql.conftest import Build, LakeRows
from tests.sql.lake_rows import ANA, message, priced, read, usage

pytestmark = pytest.mark.xdist_group("sql-money")

SEPTEMBER, OCTOBER, NOVEMBER = date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)

LAKE: LakeRows = {
    "messages": [
        # October as Twilio bills, November in Madrid.
        message(1, "2026-10-31 23:30", "delivered", **priced("-0.0075")),
        message(2, "2026-10-20 10:00", "delivered", **priced("-0.01")),
        message(3, "2026-10-20 10:00", "failed"),
        message(4, "2026-10-20 10:00", "read", recipient=f"whatsapp:{ANA}"),
        message(5, "2026-09-20 10:00", "delivered", currency="USD"),
    ],
    "extractions": [
        read("messages", "2026-09-01 00:00", "2026-11-10 06:00"),
        read("usage_records", "2026-10-01 00:00", "2026-11-10 06:00"),
    ],
    "usage_records": [
        usage("2026-10-20", "totalprice", "5"),
        usage("2026-10-20", "sms", "0.02"),
        usage("2026-10-20", "sms-messages-carrierfees", "0.003"),
        usage("2026-10-20", "channels-messaging", "0.005"),
        usage("2026-10-20", "channels-whatsapp", "0.03"),
        usage("2026-10-20", "phonenumbers", "4"),
        usage("2026-10-20", "verify-push", "0.5"),
        # The parts are ahead of the total.
        usage("2026-11-02", "totalprice", "1"),
        usage("2026-11-02", "calls", "1.25"),
    ],
}


@pytest.fixture(scope="module")
def build(new_build: Callable[[], Build]) -> Build:
    """The lake above; the build passes, `other` below zero or not."""
    made = new_build()
    made.update(LAKE, warns={"assert_other_is_not_negative"})
    return made


def test_cost_reconciliation(build: Build) -> None:
    def money(text: str) -> Decimal:
        return Decimal(text)

    assert build.query("from reports.cost_reconciliation order by all") == [
        (SEPTEMBER, "AC1", "USD", None, None, None, None, None, None, 1, 1, None),
        (
            OCTOBER, "AC1", "USD", money("5"), money("4.058"), money("0.942"), money("0.025"),
            money("0.0175"), money("0.0075"), 2, 4, pytest.approx(0.025 / 4),
        ),
        (
            NOVEMBER, "AC1", "USD", money("1"), money("1.25"), money("-0.25"), money("0"), None,
            None, 0, 0, None,
        ),
    ]  # fmt: skip


def test_the_parts_lead_from_prices_to_the_total(build: Build) -> None:
    rows = build.query(
        "select cost_part, cost_category, cost, message_count, unpriced_count "
        f"from marts.monthly_cost_parts where month = '{OCTOBER}' order by all"
    )
    assert rows == [
        ("beside_messages", "channels-whatsapp", Decimal("0.03"), None, None),
        ("beside_messages", "phonenumbers", Decimal("4"), None, None),
        ("beside_messages", "sms-messages-carrierfees", Decimal("0.003"), None, None),
        ("message_prices", "channels-messaging", None, 1, 1),
        ("message_prices", "sms", Decimal("0.0175"), 3, 1),
        ("other", "other", Decimal("0.942"), None, None),
        ("usage_beyond_prices", "channels-messaging", Decimal("0.005"), None, None),
        ("usage_beyond_prices", "sms", Decimal("0.0025"), None, None),
    ]
