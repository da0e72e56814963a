"""Errors, reconciliation and forecast of the truth, written down by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from simulator.observed import MESSAGES, USAGE, Read
from simulator.truth import expected_reports
from simulator.truth.billed import Billed
from simulator.truth.forecast import Forecast, forecast
from simulator.truth.ledger import Ledger
from simulator.truth.seeds import SEEDS, ErrorTexts
from simulator.usage import Amounts
from tests.simulator.test_truth import NOW, START, at, message, small_world

NOVEMBER, OCTOBER = date(2026, 11, 1), date(2026, 10, 1)


def test_errors_are_counted_by_code_of_what_was_tried() -> None:
    world = small_world(
        message("SM1", at(1, 10)),
        message("SM2", at(1, 11), "undelivered", error_code=30007, priced=None),
        message("SM3", at(1, 12), "failed", error_code=30007, priced=None),
        message("SM4", at(1, 13), "failed", priced=None),
        message("SM5", at(1, 14), "delivered", error_code=30005),
        message("SM6", at(1, 15), "canceled", error_code=30007),
        message("SM7", at(1, 16), "received", direction="inbound", error_code=30007),
        message("SM8", at(1, 17), "failed", error_code=99999,
                recipient="whatsapp:+340000000001"),
    )  # fmt: skip
    rows = expected_reports(world, NOW, "UTC", START)["errors_by_code"]
    assert [
        (row["channel"], row["error_code"], row["message_count"], row["share_of_attempted"])
        for row in rows
    ] == [("sms", 0, 1, 0.2), ("sms", 30005, 1, 0.2), ("sms", 30007, 2, 0.4),
          ("whatsapp", 99999, 1, 1.0)]  # fmt: skip
    unknown = ErrorTexts(SEEDS, "en").of(-1)
    assert (rows[-1]["title"], rows[-1]["remedy"]) == (unknown.title, unknown.remedy)
    assert (rows[-1]["is_blocked"], rows[-1]["is_retryable"]) == (None, None)
    assert (rows[0]["is_blocked"], rows[2]["is_blocked"]) == (False, True)
    spanish = expected_reports(world, NOW, "UTC", START, language="es")["errors_by_code"]
    assert spanish[2]["title"] == ErrorTexts(SEEDS, "es").of(30007).title != rows[2]["title"]


def test_texts_and_goals_are_those_of_the_given_seeds(tmp_path: Path) -> None:
    for path in SEEDS.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    codes = tmp_path / "error_codes.csv"
    codes.write_text(
        codes.read_text() + "99999,New,Nuevo,Why,Por qué,Do,Haga,true,false\n"
    )  # fmt: skip
    world = small_world(message("SM1", at(1, 10), "failed", error_code=99999))
    reports = expected_reports(world, NOW, "UTC", START, seeds=tmp_path)
    (row,) = reports["errors_by_code"]
    assert (row["title"], row["cause"], row["remedy"], row["is_blocked"], row["is_retryable"]) == (
        "New", "Why", "Do", True, False,
    )  # fmt: skip
    (blocked,) = [
        row for row in reports["kpis"]
        if (row["kpi"], row["period"], row["account_sid"]) == ("blocked_rate", "month", "all")
        and row["denominator"]
    ]  # fmt: skip
    assert blocked["value"] == 1.0


def test_a_month_is_reconciled_from_both_sides() -> None:
    world = small_world(
        message("SM1", at(1, 10)),
        message("SM2", at(1, 11), "undelivered", error_code=30003, priced=None),
        message("SM3", at(31, 10, month=10), charge=-10_000),
    )
    reports = expected_reports(world, NOW, "UTC", START)
    october, november = reports["cost_reconciliation"]
    assert (october["month"], november["month"]) == (OCTOBER, NOVEMBER)
    assert list(november)[:3] == ["month", "account_sid", "currency"]
    assert (november["currency"], november["message_count"], november["unpriced_count"]) == (
        "USD", 2, 1,
    )  # fmt: skip
    # Twilio charges for both, one of them has no price yet.
    assert november["message_usage_cost"] == Decimal("0.015000")
    assert november["message_price_cost"] == Decimal("0.007500")
    assert november["difference"] == Decimal("0.007500")
    assert november["cost_per_message"] == 0.0075
    assert october["difference"] == Decimal("0.000000")
    for row in (october, november):
        parts = [part for part in reports["monthly_cost"] if part["month"] == row["month"]]
        other = [part["cost"] for part in parts if part["cost_category"] == "other"]
        assert row["totalprice_cost"] == sum(part["cost"] for part in parts)
        assert [row["other_cost"]] == other
        assert row["categories_cost"] == row["totalprice_cost"] - row["other_cost"]


def test_a_month_without_usage_or_without_prices_has_no_difference() -> None:
    world = small_world(message("SM1", at(1, 10), priced=None, has_currency=False))
    sid = world.main.sid
    read = Read(MESSAGES, sid, START, NOW, NOW)
    (row,) = expected_reports(world, NOW, "UTC", START, reads=[read])["cost_reconciliation"]
    unknown = ("currency", "totalprice_cost", "categories_cost", "other_cost",
               "message_usage_cost", "message_price_cost", "difference",
               "cost_per_message")  # fmt: skip
    assert {name: row[name] for name in unknown} == dict.fromkeys(unknown)
    usage = Read(USAGE, sid, START, NOW, NOW)
    _, row = expected_reports(world, NOW, "UTC", START, reads=[read, usage])["cost_reconciliation"]
    assert (row["message_usage_cost"], row["message_price_cost"], row["difference"]) == (
        Decimal("0.007500"), None, None,
    )  # fmt: skip


def days_of(first: date, *costs: int) -> dict[date, dict[str, Amounts]]:
    """Days in a row that cost so many millionths."""
    return {
        first + timedelta(days=i): {"totalprice": Amounts(cost=cost)}
        for i, cost in enumerate(costs)
    }


def forecast_of(days: dict[date, dict[str, Amounts]], now: datetime, month: date) -> Forecast:
    world = small_world()
    sid = world.main.sid
    first = datetime(2026, 8, 1, tzinfo=UTC)
    ledger = Ledger(world, [Read(USAGE, sid, first, now, now)], now)
    return forecast(sid, Billed(days), month, ledger)


def test_a_forecast_is_what_is_spent_and_what_its_weekdays_cost() -> None:
    now = datetime(2026, 11, 28, 6, tzinfo=UTC)  # a Saturday; Sunday and Monday are left
    days = days_of(date(2026, 10, 30), *[1_000_000] * 30)  # 30 October to 28 November
    # Four Sundays of 28 days: 1, 8, 15 and 22 November.
    for day, cost in ((1, 2), (8, 2), (15, 3), (22, 4)):
        days[date(2026, 11, day)]["totalprice"].cost = cost * 1_000_000
    days[date(2026, 11, 28)]["totalprice"].cost = 10_000  # today has but begun
    spent = 23_000_000 + 11_000_000 + 10_000
    assert forecast_of(days, now, NOVEMBER) == Forecast(
        34_000_000 + 1_000_000 + 2_750_000 + 1_000_000, spent, 28
    )
    # Today has cost more already than was to be expected of it.
    days[date(2026, 11, 28)]["totalprice"].cost = 5_000_000
    assert forecast_of(days, now, NOVEMBER).cost == 34_000_000 + 5_000_000 + 3_750_000
    # A month that is over costs what it cost.
    assert forecast_of(days, now, OCTOBER) == Forecast(2_000_000, 2_000_000, None)


def test_a_short_history_stands_for_all_weekdays_and_none_for_nothing() -> None:
    now = datetime(2026, 11, 3, 6, tzinfo=UTC)  # a Tuesday
    days = days_of(date(2026, 11, 1), 1_000_000, 2_000_001)  # Sunday and Monday
    # The mean 1.5000005 is rounded up; 28 days are left.
    sundays, mondays, others = 4, 4, 20
    assert forecast_of(days, now, NOVEMBER) == Forecast(
        3_000_001 + sundays * 1_000_000 + mondays * 2_000_001 + others * 1_500_001, 3_000_001, 2
    )
    assert forecast_of({}, now, NOVEMBER) == Forecast(None, None, 0)
    assert forecast_of(days_of(date(2026, 11, 3), 7), now, NOVEMBER) == Forecast(None, 7, 0)


@pytest.mark.parametrize(("fee_days", "expected_fees"), [
    ((date(2026, 10, 1), date(2026, 11, 1)), 5_000_000),  # charged already
    ((date(2026, 10, 1),), 0),  # it should have been; then it was not for this month
    ((date(2026, 10, 20),), 5_000_000),
    ((date(2026, 10, 31),), 5_000_000),  # no such day in November: its last
    ((date(2026, 10, 10), date(2026, 11, 10)), 5_000_000),  # today, and charged today
    ((date(2026, 10, 10),), 5_000_000),  # today, and not charged yet
    ((date(2026, 9, 20),), 0),
])  # fmt: skip
def test_monthly_fees_are_expected_on_their_day_and_no_other(
    fee_days: tuple[date, ...], expected_fees: int
) -> None:
    now = datetime(2026, 11, 10, 6, tzinfo=UTC)
    days = days_of(date(2026, 9, 1), *[1_000_000] * 71)
    without = forecast_of(days, now, NOVEMBER).cost
    for day in fee_days:
        days[day]["totalprice"].cost += 5_000_000
        days[day]["phonenumbers"] = Amounts(1, 1, 5_000_000)
    cost = forecast_of(days, now, NOVEMBER).cost
    assert without is not None
    assert cost is not None
    assert cost - without == expected_fees


def test_only_days_that_were_read_whole_are_history() -> None:
    world = small_world()
    sid, now = world.main.sid, datetime(2026, 11, 10, 6, tzinfo=UTC)
    windows = [(datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 4, 12, tzinfo=UTC)),
               (datetime(2026, 11, 9, tzinfo=UTC), now)]  # fmt: skip
    ledger = Ledger(world, [Read(USAGE, sid, *window, now) for window in windows], now)
    billed = Billed(days_of(date(2026, 10, 1), *[1_000_000] * 41))
    assert forecast(sid, billed, NOVEMBER, ledger).days == 3
