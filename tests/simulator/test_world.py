"""The world: the same for a seed, fictional, of every kind, and as of any instant."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from simulator import people
from simulator.truth import expected_reports
from simulator.view import View
from simulator.world import World, WorldConfig

UNTIL = datetime(2026, 11, 10, 6, tzinfo=UTC)
NOW = int(UNTIL.timestamp())
CONFIG = WorldConfig(messages=20_000, days=35, accounts=3, seed=5, until=UNTIL)


@pytest.fixture(scope="module")
def world() -> World:
    return World(CONFIG)


def test_the_same_seed_is_the_same_world(world: World) -> None:
    again = World(CONFIG)
    assert again.messages == world.messages
    assert again.accounts == world.accounts
    assert World(replace(CONFIG, seed=6)).messages != world.messages


def test_it_has_as_many_messages_as_asked_for_and_a_day_to_come(world: World) -> None:
    past = [m for m in world.messages if m.created < NOW]
    assert len(past) == CONFIG.messages
    assert UNTIL.timestamp() <= world.messages[-1].created < (UNTIL + timedelta(days=1)).timestamp()
    assert world.messages[0].created >= CONFIG.start.timestamp()


def test_every_number_is_fictional(world: World) -> None:
    fictional = re.compile(r"\+1\d{3}55501\d\d|\+447700900\d{3}|\+(52|34|57|54|55)0\d{9}")
    for message in world.messages:
        for address in (message.sender, message.recipient):
            number = (address or "").rpartition(":")[2]
            assert not number.startswith("+") or fictional.fullmatch(number), number


def test_every_kind_of_message_is_there_now(world: World) -> None:
    shown = list(world.messages_as_of(UNTIL))
    assert {state.status for _, state in shown} == {
        "accepted", "scheduled", "canceled", "queued", "sending", "sent", "delivered", "read",
        "failed", "undelivered", "partially_delivered", "receiving", "received", "shipped",
    }  # fmt: skip
    assert {m.channel for m, _ in shown} == {"sms", "mms", "whatsapp", "messenger", "rcs"}
    assert {m.direction for m, _ in shown} == {
        "inbound", "outbound-api", "outbound-call", "outbound-reply", "system",
    }  # fmt: skip
    assert {m.country for m, _ in shown} == {*people.COUNTRIES, None}
    assert any(state.price is None and state.status == "delivered" for _, state in shown)
    assert any(state.sender is None for _, state in shown)
    assert any(m.recipient is None for m, _ in shown)
    assert any(state.error_code is None for _, state in shown if state.status == "failed")
    assert any(m.sent is not None and m.sent - m.created > 3600 for m, _ in shown)
    assert any(m.tags for m, _ in shown)


def test_it_looks_like_a_shop(world: World) -> None:
    reports = expected_reports(world, UNTIL, "America/Mexico_City", CONFIG.start)
    days = reports["daily_volume"]
    attempted, delivered = (
        sum(row[f"{name}_count"] for row in days) for name in ("attempted", "delivered")
    )
    assert 0.955 < delivered / attempted < 0.965
    assert len({row["message_date"].weekday() for row in days}) == 7
    hours = Counter[int]()
    for row in reports["hourly_delivery_rate"]:
        hours[row["message_hour"].hour] += row["attempted_count"]
    assert min(hours[hour] for hour in range(9, 19)) > 4 * max(hours[hour] for hour in range(5))
    top = [row for row in reports["top_recipients"] if row["account_sid"] == world.main.sid]
    counts = [row["message_count"] for row in top if row["month"].month == 10]
    assert len(counts) == 100
    assert counts[0] > 2 * counts[-1]
    # Ties where the ranking ends, so that their order matters.
    assert counts[-1] == counts[-3]


def test_nobody_shares_a_number(world: World) -> None:
    from random import Random

    drawn = people.customers(120_000, Random(1))
    assert len({number for number, _ in drawn}) == len(drawn) == 120_000


def test_statuses_only_move_forward_and_prices_come_within_a_day_of_sending(world: World) -> None:
    for message in world.messages:
        instants = [instant for instant, _ in message.steps]
        assert instants == sorted(instants)
        assert instants[0] == message.created
        if message.priced is not None:
            assert message.sent is not None
            assert 0 < message.priced - message.sent <= 86_400


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),  # of the extension table: each counts twice
        ("€" * 81, 2),
        ("ñ" * 160, 1),
        ("á" + "a" * 69, 1),  # á is not in GSM 03.38
        ("á" + "a" * 70, 2),
        ("👍" * 35, 1),  # two UTF-16 units each
        ("👍" * 36, 2),
        ("á" * 135, 3),
        ("", 1),
    ],
)
def test_texts_are_split_into_segments_as_networks_do(text: str, count: int) -> None:
    assert people.segments(text) == count


@pytest.mark.parametrize("step", [timedelta(hours=9), -timedelta(hours=9), timedelta(days=2)])
def test_a_moved_clock_shows_what_a_fresh_look_shows(world: World, step: timedelta) -> None:
    later = NOW + int(step.total_seconds())
    start = View(world, NOW)
    View(world, NOW + 60, start)  # another one from there disturbs nothing
    moved, fresh = View(world, later, start), View(world, later)
    for account in world.accounts:
        for only_sent in (True, False):
            one, other = (
                view.messages(account.sid, only_sent=only_sent) for view in (moved, fresh)
            )
            assert one.records(range(len(one))) == other.records(range(len(other)))
            assert len(one) > 0
    assert moved.usage == fresh.usage


def test_a_list_shows_the_world_as_of_its_instant(world: World) -> None:
    view = View(world, NOW)
    shown = {
        record["sid"]: record
        for account in world.accounts
        for listing in [view.messages(account.sid, only_sent=False)]
        for record in map(orjson.loads, listing.records(range(len(listing))))
    }
    states = {message.sid: state for message, state in world.messages_as_of(UNTIL)}
    assert shown.keys() == states.keys()
    for sid, state in states.items():
        record = shown[sid]
        assert record["status"] == state.status
        assert (record["price"] is None) == (state.price is None)
        assert (record["date_sent"] is None) == (state.sent is None)
