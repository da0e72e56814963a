"""The truth, on a world small enough to be written down by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from simulator.truth import expected_messages, expected_reports
from simulator.world import Message, World, WorldConfig

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
START = datetime(2026, 10, 31, tzinfo=UTC)


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> int:
    return int(datetime(2026, month, day, hour, minute, tzinfo=UTC).timestamp())


def message(sid: str, created: int, status: str = "delivered", **changes: object) -> Message:
    values: dict[str, object] = {
        "sid": sid, "account": 0, "direction": "outbound-api", "channel": "sms",
        "sender": "+12125550100", "recipient": "+340000000001", "country": "ES",
        "service_sid": None, "body": "Hola", "media_count": 0, "segment_count": 2,
        "created": created, "sent": created + 1,
        "steps": ((created, "queued"), (created + 5, status)), "error_code": None,
        "charge": -7500, "priced": created + 60, "has_currency": True, "tags": False,
    }  # fmt: skip
    return Message(**{**values, **changes})  # type: ignore[arg-type]


def small_world(*messages: Message) -> World:
    world = World(WorldConfig(messages=1, days=1, accounts=1, until=NOW))
    world.messages = sorted(messages, key=lambda each: each.created)
    return world


def test_a_day_by_hand() -> None:
    world = small_world(
        message("SM1", at(1, 10)),
        message("SM2", at(1, 11), "undelivered", error_code=30003, priced=None),
        message("SM3", at(1, 12), "shipped"),
        message("SM4", at(1, 13), sent=None, priced=None, steps=((at(1, 13), "scheduled"),)),
        message("SM5", at(1, 14), "received", direction="inbound", recipient="+12125550100",
                sender="whatsapp:+520000000001"),
        message("SM6", at(3, 13)),  # not yet
    )  # fmt: skip
    reports = expected_reports(world, NOW, "UTC", START)
    outbound, inbound = reports["daily_volume"]
    assert outbound == {
        "message_date": date(2026, 11, 1), "account_sid": world.main.sid, "channel": "sms",
        "direction": "outbound", "currency": "USD", "message_count": 4, "segment_count": 8,
        "media_count": 0, "attempted_count": 3, "delivered_count": 1, "failed_count": 1,
        "unconfirmed_count": 1, "message_cost": Decimal("0.015000"), "unpriced_count": 2,
        "is_settled": False,
    }  # fmt: skip
    assert (inbound["channel"], inbound["direction"], inbound["attempted_count"]) == (
        "whatsapp", "inbound", 0,
    )  # fmt: skip
    assert inbound["is_settled"]
    (top,) = reports["top_recipients"]
    assert (top["recipient"], top["message_count"], top["delivered_count"]) == (
        "+340000000001", 4, 1,
    )  # fmt: skip
    hours = {row["message_hour"].hour: row["delivery_rate"] for row in
             reports["hourly_delivery_rate"]}  # fmt: skip
    assert hours == {10: 1.0, 11: 0.0, 12: 0.0, 13: None}


def test_the_repeated_hour_has_two_rows() -> None:
    world = small_world(
        message("SM1", at(25, 0, 30, month=10)), message("SM2", at(25, 1, 30, month=10))
    )
    rows = expected_reports(world, NOW, "Europe/Madrid", START - timedelta(days=10))[
        "hourly_delivery_rate"
    ]
    assert [(row["message_hour"].hour, row["utc_offset"]) for row in rows] == [
        (2, "+01:00"),
        (2, "+02:00"),
    ]


def test_scope_is_what_was_read() -> None:
    world = small_world(message("SM1", at(30, 10, month=10)), message("SM2", at(31, 0, month=10)))
    assert list(expected_messages(world, NOW, START)) == ["SM2"]


def test_costs_of_the_month_add_up_from_the_leaves() -> None:
    world = small_world(message("SM1", at(1, 10)))
    costs = [
        row for row in expected_reports(world, NOW, "UTC", START)["monthly_cost"]
        if row["month"] == date(2026, 11, 1)
    ]  # fmt: skip
    by_category = {row["cost_category"]: row["cost"] for row in costs}
    assert by_category["sms"] == Decimal("0.007500")
    assert by_category["phonenumbers"] == Decimal("2.300000")
    assert "other" in by_category
