"""The truth, on a world small enough to be written down by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from simulator.truth import expected_messages, expected_reports
from simulator.usage import daily_usage
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


def test_what_totalprice_has_beyond_the_known_categories_is_other() -> None:
    world = small_world(message("SM1", at(1, 10)))
    rows = expected_reports(world, NOW, "UTC", START)["monthly_cost"]
    beyond = sum(
        entry.cost
        for (_, day), entries in daily_usage(world, int(NOW.timestamp())).items()
        for name, entry in entries.items()
        if day.month == 11 and name in ("studio-engagements", "verify-push")
    )
    (other,) = [r for r in rows if r["cost_category"] == "other" and r["month"].month == 11]
    assert other["cost"] == Decimal(beyond) / 1_000_000
    assert (other["usage_quantity"], other["usage_unit"], other["currency"]) == (None, None, "USD")
    assert {"verify-push", "studio-engagements", "channels"}.isdisjoint(
        row["cost_category"] for row in rows
    )


def test_a_month_of_usage_is_settled_three_days_after_its_end() -> None:
    world = small_world(message("SM1", at(1, 10)))
    for now, settled in [
        (datetime(2026, 11, 3, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 4, tzinfo=UTC), True),
    ]:
        rows = expected_reports(world, now, "UTC", START)["monthly_cost"]
        assert {row["is_settled"] for row in rows if row["month"].month == 10} == {settled}
        assert {row["is_settled"] for row in rows if row["month"].month == 11} == {False}
        # Usage is read from the first of the month, though messages only from the 31st.
        assert {row["month"] for row in rows} == {date(2026, 10, 1), date(2026, 11, 1)}


@pytest.mark.parametrize(
    ("status", "is_priced", "age", "settled"),
    [
        ("delivered", True, 20, True),
        ("delivered", False, 7 * 24 - 1, False),
        ("delivered", False, 7 * 24, True),
        ("read", True, 20, True),
        ("received", True, 20, True),
        ("sent", True, 71, False),
        ("sent", True, 72, True),
        ("sent", False, 72, False),
        ("failed", False, 23, False),
        ("failed", False, 24, True),
        ("undelivered", False, 24, True),
        ("undelivered", True, 20, True),
        ("canceled", False, 23, False),
        ("canceled", False, 24, True),
        ("shipped", True, 7 * 24 - 1, False),
        ("shipped", True, 7 * 24, True),
        ("queued", False, 7 * 24, True),
        ("scheduled", False, 8 * 24, False),
    ],
)
def test_a_day_is_settled_when_its_messages_are(
    status: str, is_priced: bool, age: int, settled: bool
) -> None:
    created = at(1, 10)
    world = small_world(
        message(
            "SM1", created, sent=created, priced=created + 60 if is_priced else None,
            steps=((created, status),),
        )
    )  # fmt: skip
    now = datetime(2026, 11, 1, 10, tzinfo=UTC) + timedelta(hours=age)
    reports = expected_reports(world, now, "UTC", START)
    assert [row["is_settled"] for row in reports["daily_volume"]] == [settled]
    assert [row["is_settled"] for row in reports["hourly_delivery_rate"]] == [settled]


def test_a_day_that_is_not_over_or_not_wholly_read_is_not_settled() -> None:
    world = small_world(message("SM1", at(1, 10)), message("SM2", at(3, 9)))
    (first, last) = expected_reports(world, NOW, "UTC", START)["daily_volume"]
    assert (first["is_settled"], last["is_settled"]) == (True, False)
    # In Madrid the day of 1 November began at 23:00 of 31 October.
    (first, _) = expected_reports(world, NOW, "Europe/Madrid", START + timedelta(days=1))[
        "daily_volume"
    ]
    assert not first["is_settled"]
    hours = expected_reports(world, NOW, "UTC", START)["hourly_delivery_rate"]
    assert [row["is_settled"] for row in hours] == [True, True]


def test_what_has_no_price_is_not_free() -> None:
    world = small_world(
        message("SM1", at(1, 10), priced=None, has_currency=False),
        message("SM2", at(2, 10), charge=0),
    )
    unpriced, free = expected_reports(world, NOW, "UTC", START)["daily_volume"]
    assert (unpriced["message_cost"], unpriced["unpriced_count"], unpriced["currency"]) == (
        None, 1, None,
    )  # fmt: skip
    assert (free["message_cost"], free["unpriced_count"], free["currency"]) == (
        Decimal("0.000000"), 0, "USD",
    )  # fmt: skip


def test_a_direction_nobody_knows_is_counted_as_such() -> None:
    world = small_world(message("SM1", at(1, 10), direction="system"))
    reports = expected_reports(world, NOW, "UTC", START)
    (row,) = reports["daily_volume"]
    assert (row["direction"], row["message_count"], row["attempted_count"]) == ("unknown", 1, 0)
    assert reports["hourly_delivery_rate"] == reports["top_recipients"] == []


def test_recipients_are_ranked_by_count_then_bytes_and_a_hundred_at_most() -> None:
    people = [f"+3400000{i:05d}" for i in range(120)]
    sent = [message(f"SM{i:04d}", at(1, 10, i % 60), recipient=number)
            for i, number in enumerate(reversed(people))]  # fmt: skip
    twice = message("SM9998", at(1, 12), recipient=f"whatsapp:{people[110]}", channel="whatsapp")
    reply = message("SM9999", at(1, 13), "received", direction="inbound", sender=people[110],
                    recipient="+12125550100")  # fmt: skip
    nobody = message("SM9997", at(1, 14), recipient=None)
    rows = expected_reports(small_world(*sent, twice, reply, nobody), NOW, "UTC", START)[
        "top_recipients"
    ]
    assert [row["recipient_rank"] for row in rows] == list(range(1, 101))
    assert [row["recipient"] for row in rows] == [people[110], *people[:99]]
    top = rows[0]
    assert (top["message_count"], top["reply_count"], top["message_cost"], top["country"]) == (
        2, 1, Decimal("0.015000"), "ES",
    )  # fmt: skip
    assert top["last_message_at"] == datetime(2026, 11, 1, 12, 0, 1, tzinfo=UTC)


def test_unsent_messages_are_left_out_when_nobody_looked_for_them() -> None:
    waiting = message("SM1", at(1, 13), sent=None, priced=None, steps=((at(1, 13), "scheduled"),))
    world = small_world(waiting, message("SM2", at(1, 14)))
    assert list(expected_messages(world, NOW, START, with_unsent=False)) == ["SM2"]
    assert list(expected_messages(world, NOW, START)) == ["SM1", "SM2"]


def test_the_lake_is_known_field_by_field() -> None:
    world = small_world(
        message("SM1", at(1, 10), "received", direction="inbound", body="Stop", segment_count=1,
                sender="whatsapp:+520000000001", recipient="whatsapp:+12125550100",
                country="MX", charge=-5000, sent=at(1, 10))
    )  # fmt: skip
    (row,) = expected_messages(world, NOW, START).values()
    assert row == {
        "account_sid": world.main.sid, "messaging_service_sid": None, "direction": "inbound",
        "status": "received", "error_code": None, "sender": "whatsapp:+520000000001",
        "recipient": "whatsapp:+12125550100", "country": "MX",
        "created_at": datetime(2026, 11, 1, 10, tzinfo=UTC),
        "sent_at": datetime(2026, 11, 1, 10, tzinfo=UTC),
        "updated_at": datetime(2026, 11, 1, 10, 1, tzinfo=UTC),
        "price": Decimal("-0.005000"), "currency": "USD", "segment_count": 1, "media_count": 0,
        "body_length": 4, "body_encoding": "gsm7", "is_opt_out_request": True,
    }  # fmt: skip
