"""Key figures of the truth, written down by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from simulator.observed import ACCOUNTS, MESSAGES, UNSENT_MESSAGES, USAGE, Read
from simulator.truth import expected_reports
from simulator.truth.seeds import SEEDS, read_goals
from simulator.world import Message, World, WorldConfig
from tests.simulator.test_truth import NOW, START, at, message, small_world

LATE = datetime(2026, 11, 12, 12, tzinfo=UTC)
FIRST_OF_MONTH = datetime(2026, 11, 1, tzinfo=UTC)


def kpi(rows: Sequence[dict[str, Any]], name: str, period: str = "day", day: int = 1,
        scope: str = "all", month: int = 11) -> dict[str, Any]:  # fmt: skip
    (row,) = [
        row for row in rows
        if (row["kpi"], row["period"], row["account_sid"], row["period_start"])
        == (name, period, scope, date(2026, month, day))
    ]  # fmt: skip
    return row


def parts(row: dict[str, Any]) -> tuple[float | None, float | None, float | None]:
    return row["value"], row["numerator"], row["denominator"]


def kpis_of(world: World, now: datetime = NOW, **arguments: Any) -> list[dict[str, Any]]:
    arguments.setdefault("timezone", "UTC")
    arguments.setdefault("read_since", START)
    return expected_reports(world, now, **arguments)["kpis"]


def test_the_seed_has_the_agreed_goals() -> None:
    goals = read_goals(SEEDS)
    assert {
        name: (goal.goal, goal.comparison, goal.periods, goal.minimum_sample)
        for name, goal in goals.items() if goal.comparison
    } == {
        "messages_sent": (10.0, ">", ("day",), 0),
        "delivery_rate": (0.95, ">", ("day", "month"), 20),
        "seconds_to_send_p95": (5.0, "<", ("day", "month"), 20),
        "error_rate": (0.05, "<", ("day", "month"), 20),
        "blocked_rate": (0.01, "<", ("day", "month"), 100),
        "opt_out_count": (0.0, "=", ("day", "month"), 0),
        "total_cost": (None, "<=", ("month",), 0),
        "forecast_cost": (None, "<=", ("month",), 7),
    }  # fmt: skip
    assert {name for name, goal in goals.items() if goal.is_budget} == {
        "total_cost", "forecast_cost",
    }  # fmt: skip


def test_a_day_by_hand() -> None:
    world = small_world(
        message("SM1", at(1, 10)),
        message("SM2", at(1, 11), sent=at(1, 11) + 11),
        message("SM3", at(1, 12), "undelivered", error_code=30007, charge=-20_000),
        message("SM4", at(1, 13), "failed", error_code=30003, priced=None, sent=None),
        message("SM5", at(1, 14), "received", direction="inbound", body="STOP"),
        message("SM6", at(1, 15), sent=None, priced=None, steps=((at(1, 15), "scheduled"),)),
    )
    rows = kpis_of(world)
    assert list(rows[0]) == [
        "period_start", "period", "account_sid", "kpi", "value", "goal", "comparison", "is_met",
        "numerator", "denominator", "is_settled",
    ]  # fmt: skip
    messages, segments, usage_cost = 6.0, 12.0, 2 * 0.0075 + 0.02 + 0.0075
    for name, expected in {
        "messages_sent": (4.0, 4.0, None),
        "delivery_rate": (0.5, 2.0, 4.0),
        "error_rate": (0.5, 2.0, 4.0),
        "blocked_rate": (0.25, 1.0, 4.0),
        # 1, 1 and 11 seconds: nine tenths of the way from the second to the third
        "seconds_to_send_p95": (10.0, None, 3.0),
        "opt_out_count": (1.0, 1.0, None),
        "cost_per_message": (usage_cost / messages, usage_cost, messages),
        "cost_per_segment": (usage_cost / segments, usage_cost, segments),
        "cost_of_failures": (0.02, 0.02, 2.0),
    }.items():
        for scope in ("all", world.main.sid):
            assert parts(kpi(rows, name, scope=scope)) == pytest.approx(expected), name
    assert [row["kpi"] for row in rows if row["period"] == "month"].count("forecast_cost") == 4
    assert not [row for row in rows if row["period"] == "day" and row["kpi"] == "forecast_cost"]


def test_a_silent_day_that_was_read_is_a_day() -> None:
    world = small_world(message("SM1", at(1, 10)))
    sid = world.main.sid
    reads = [Read(MESSAGES, sid, FIRST_OF_MONTH - timedelta(hours=5), NOW, NOW)]
    rows = kpis_of(world, reads=reads)
    days = {row["period_start"].day for row in rows if row["period"] == "day"}
    assert days == {1, 2, 3}  # the running one too; of 31 October only the evening was read
    assert parts(kpi(rows, "messages_sent", day=2)) == (0.0, 0.0, None)
    assert parts(kpi(rows, "delivery_rate", day=2)) == (None, 0.0, 0.0)
    # It is no day of costs: nothing was charged, and no message sent.
    assert {row["period_start"].day for row in rows
            if row["kpi"] == "cost_of_failures" and row["period"] == "day"} == {1}  # fmt: skip


def test_days_are_local_for_messages_and_gmt_for_costs() -> None:
    world = small_world(message("SM1", at(1, 23, 30)))
    rows = kpis_of(world, timezone="Europe/Madrid")
    assert parts(kpi(rows, "messages_sent", day=2)) == (1.0, 1.0, None)
    assert kpi(rows, "cost_per_message", day=1)["denominator"] == 1.0
    assert kpi(rows, "cost_per_message", day=2)["denominator"] == 0.0


def test_a_message_seen_as_scheduled_has_waited_on_purpose() -> None:
    waited = message("SM1", at(1, 10), sent=at(1, 15),
                     steps=((at(1, 10), "scheduled"), (at(1, 15), "delivered")))  # fmt: skip
    world = small_world(waited, message("SM2", at(1, 14)))
    late = kpis_of(world)
    assert parts(kpi(late, "seconds_to_send_p95")) == (0.95 * 5 * 3600 + 0.05, None, 2.0)
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    observed = kpis_of(world, reads=[
        Read(UNSENT_MESSAGES, world.main.sid, START, noon, noon),
        Read(MESSAGES, world.main.sid, START, NOW, NOW),
    ])  # fmt: skip
    assert parts(kpi(observed, "seconds_to_send_p95")) == (1.0, None, 1.0)


@pytest.mark.parametrize(("delivered", "failed", "is_met"), [
    (20, 0, True), (19, 1, False), (19, 0, None), (96, 4, True), (95, 5, False),
])  # fmt: skip
def test_a_goal_needs_a_sample(delivered: int, failed: int, is_met: bool | None) -> None:
    states = ["delivered"] * delivered + ["undelivered"] * failed
    world = small_world(
        *(message(f"SM{i}", at(1, 10, i % 60), state) for i, state in enumerate(states))
    )
    row = kpi(kpis_of(world), "delivery_rate")
    assert (row["goal"], row["comparison"], row["is_met"]) == (0.95, ">", is_met)
    sent = kpi(kpis_of(world), "messages_sent")
    assert (sent["goal"], sent["comparison"], sent["is_met"]) == (10.0, ">", True)
    of_month = kpi(kpis_of(world), "messages_sent", "month")
    assert (of_month["goal"], of_month["comparison"], of_month["is_met"]) == (None, None, None)


def test_the_budget_is_for_the_month_of_all() -> None:
    world = small_world(message("SM1", at(1, 10)))
    rows = kpis_of(world, monthly_budget=Decimal("5"))
    total = kpi(rows, "total_cost", "month")
    assert (total["goal"], total["comparison"], total["is_met"]) == (5.0, "<=", False)
    assert kpi(kpis_of(world, monthly_budget=Decimal(100)), "total_cost", "month")["is_met"]
    forecast = kpi(rows, "forecast_cost", "month")
    assert (forecast["goal"], forecast["is_met"], forecast["denominator"]) == (5.0, False, 28.0)
    # Three days of history say nothing yet.
    reads = [Read(USAGE, world.main.sid, datetime(2026, 10, 31, tzinfo=UTC), NOW, NOW)]
    forecast = kpi(
        kpis_of(world, monthly_budget=Decimal("5"), reads=reads), "forecast_cost", "month"
    )
    assert (forecast["goal"], forecast["is_met"], forecast["denominator"]) == (5.0, None, 3.0)
    for row in (
        kpi(rows, "total_cost"), kpi(rows, "total_cost", "month", scope=world.main.sid),
        kpi(kpis_of(world), "total_cost", "month"),
    ):  # fmt: skip
        assert (row["goal"], row["comparison"], row["is_met"]) == (None, None, None)


def two_accounts(*messages: Message, **changes: Any) -> World:
    world = World(WorldConfig(messages=1, days=1, accounts=2, until=NOW))
    world.messages = sorted(messages, key=lambda each: each.created)
    world.accounts[1] = replace(world.accounts[1], **changes)
    return world


def reads_of(world: World, account: int, outcome: str = "ok") -> list[Read]:
    return [
        Read(dataset, world.accounts[account].sid, FIRST_OF_MONTH, LATE, LATE, outcome=outcome)
        for dataset in (MESSAGES, USAGE)
    ]


def test_all_is_the_sum_of_sums() -> None:
    world = two_accounts(
        message("SM1", at(1, 10)), message("SM2", at(1, 11), "undelivered"),
        message("SM3", at(1, 12), account=1, sent=at(1, 12) + 3),
    )  # fmt: skip
    rows = kpis_of(world, LATE)
    assert parts(kpi(rows, "delivery_rate")) == (2 / 3, 2.0, 3.0)
    assert parts(kpi(rows, "seconds_to_send_p95"))[0] == pytest.approx(2.8)
    for name in ("total_cost", "cost_per_call", "cost_of_failures"):
        ones = [kpi(rows, name, "month", scope=account.sid) for account in world.accounts]
        whole = kpi(rows, name, "month")
        assert whole["numerator"] == pytest.approx(sum(one["numerator"] for one in ones))


def test_all_is_settled_when_every_account_is() -> None:
    sent = [message("SM1", at(2, 10)), message("SM2", at(2, 11), account=1)]
    world = two_accounts(*sent)
    names = ("messages_sent", "total_cost", "cost_per_message")

    def settled(world: World, *reads: Read) -> list[bool]:
        rows = kpis_of(world, LATE, reads=reads)
        return [kpi(rows, name, day=2)["is_settled"] for name in names]

    both = [*reads_of(world, 0), *reads_of(world, 1)]
    assert settled(world, *both) == [True, True, True]
    early = replace(reads_of(world, 1)[0], end=datetime(2026, 11, 2, 20, tzinfo=UTC))
    usage = reads_of(world, 1)[1]
    assert settled(world, *reads_of(world, 0), early, usage) == [False, True, False]
    usage = replace(usage, at=datetime(2026, 11, 5, 23, tzinfo=UTC))
    assert settled(world, *reads_of(world, 0), early, usage) == [False, False, False]
    # One that was refused is missing, unless it is known to be out of use.
    refused = [*reads_of(world, 0), *reads_of(world, 1, "denied")]
    assert settled(world, *refused) == [False, False, False]
    closed = two_accounts(sent[0], ended=at(1, 10), ending="closed")
    assert settled(closed, *refused) == [True, True, True]
    # What was listed counts: at that time it was not closed yet.
    listed = Read(ACCOUNTS, world.main.sid, FIRST_OF_MONTH, FIRST_OF_MONTH, FIRST_OF_MONTH)
    assert settled(closed, *refused, listed) == [False, False, False]
    # Before an account existed nothing of it can be missing.
    born = two_accounts(sent[0], created=at(3, 0))
    assert settled(born, *refused) == [True, True, True]
    born = two_accounts(sent[0], created=at(2, 23))
    assert settled(born, *refused) == [False, False, False]


def test_an_accounts_own_figure_is_settled_only_where_it_was_read() -> None:
    world = two_accounts(created=at(3, 0))
    reads = [*reads_of(world, 0), reads_of(world, 1)[1],
             replace(reads_of(world, 1)[0], start=datetime(2026, 11, 3, tzinfo=UTC))]  # fmt: skip
    rows = kpis_of(world, LATE, reads=reads)
    own = world.accounts[1].sid
    for name, is_settled in [("total_cost", True), ("cost_per_message", False)]:
        assert kpi(rows, name, day=2, scope=own)["is_settled"] is is_settled
        assert kpi(rows, name, day=2)["is_settled"]


def test_a_day_without_usage_has_no_cost_and_no_zero() -> None:
    world = small_world(message("SM1", at(2, 10)))
    sid = world.main.sid
    reads = [Read(MESSAGES, sid, FIRST_OF_MONTH, LATE, LATE),
             Read(USAGE, sid, FIRST_OF_MONTH, datetime(2026, 11, 2, tzinfo=UTC), LATE)]  # fmt: skip
    rows = kpis_of(world, LATE, reads=reads)
    assert parts(kpi(rows, "total_cost", day=2)) == (None, None, None)
    assert parts(kpi(rows, "cost_per_message", day=2)) == (None, None, 1.0)
    assert parts(kpi(rows, "cost_of_failures", day=2)) == (0.0, 0.0, 0.0)
    assert parts(kpi(rows, "cost_of_failures", day=1)) == (None, None, 0.0)
    assert kpi(rows, "total_cost", "month")["value"] > 0
