"""What a reader must know: checked by hand, and against a reader that reads the simulator."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any

import orjson
import pytest

from simulator.observed import (
    MESSAGES,
    UNSENT_MESSAGES,
    USAGE,
    Read,
    known_messages,
    known_usage,
    last_shown,
    reads_of_all,
    unbroken,
    visible_sids,
)
from simulator.truth import expected_messages, expected_reports
from simulator.usage import Amounts, daily_usage, totals
from simulator.view import View
from simulator.world import World, WorldConfig
from tests.simulator.test_truth import START, at, message, small_world

UNTIL = datetime(2026, 11, 10, 6, tzinfo=UTC)
HOURS = [datetime(2026, 11, 1, hour, tzinfo=UTC) for hour in range(24)]


def test_what_vanished_after_it_was_seen_stays() -> None:
    seen = message("SM1", at(1, 10), deleted=at(1, 12))
    missed = message("SM2", at(1, 10, 1), deleted=at(1, 10, 30))
    world = small_world(seen, missed)
    assert visible_sids(world, [HOURS[11], HOURS[13]], START) == {"SM1"}
    assert visible_sids(world, [HOURS[12], HOURS[13]], START) == set()
    assert visible_sids(world, [HOURS[11]], HOURS[11]) == set()
    reads = reads_of_all(world, [HOURS[11], HOURS[13]], START)
    (known,) = known_messages(world, reads)
    assert (known.seen_at, known.read_at) == (at(1, 11), at(1, 13))
    rows = expected_reports(world, HOURS[13], "UTC", START, reads=reads)["daily_volume"]
    assert [row["message_count"] for row in rows] == [1]
    assert expected_messages(world, HOURS[13], START) == {}


def test_a_message_is_known_as_it_was_when_it_was_last_seen() -> None:
    changing = message(
        "SM1", at(1, 10), priced=at(1, 11),
        steps=((at(1, 10), "queued"), (at(1, 11), "sent"), (at(1, 13), "delivered")),
    )  # fmt: skip
    world = small_world(changing)
    early, late = (Read(MESSAGES, world.main.sid, START, HOURS[11], HOURS[hour])
                   for hour in (12, 14))  # fmt: skip
    elsewhere = Read(MESSAGES, world.main.sid, HOURS[12], HOURS[14], HOURS[14])
    for reads, status in [
        ([early, elsewhere], "sent"),
        ([early, late], "delivered"),
        ([late, early], "delivered"),
    ]:
        (row,) = expected_messages(world, HOURS[14], START, reads=reads).values()
        assert (row["status"], row["price"]) == (status, Decimal("-0.007500"))


def test_a_list_that_lags_shows_it_to_the_next_reader() -> None:
    world = small_world(message("SM1", at(1, 10, 55), listed=at(1, 11, 5)))
    assert visible_sids(world, [HOURS[11]], START) == set()
    assert visible_sids(world, HOURS[11:13], START) == {"SM1"}


def test_unsent_messages_are_known_from_where_they_were_looked_for() -> None:
    waiting = message(
        "SM1", at(1, 10), sent=at(1, 15), priced=None,
        steps=((at(1, 10), "scheduled"), (at(1, 15), "sent")),
    )  # fmt: skip
    world = small_world(waiting)
    sid = world.main.sid
    sent_list = Read(MESSAGES, sid, START, HOURS[12], HOURS[12])
    scan = Read(UNSENT_MESSAGES, sid, START, HOURS[12], HOURS[12])
    single = Read(
        UNSENT_MESSAGES, sid, HOURS[10], HOURS[10] + timedelta(seconds=1), HOURS[16],
        frozenset(["SM1"]),
    )  # fmt: skip
    assert expected_messages(world, HOURS[12], START, reads=[sent_list]) == {}
    for reads, status, sent_at in [
        ([sent_list, scan], "scheduled", None),
        ([sent_list, scan, single], "sent", HOURS[15]),
        ([scan, Read(MESSAGES, sid, START, HOURS[16], HOURS[16])], "sent", HOURS[15]),
    ]:
        (row,) = expected_messages(world, HOURS[12], START, reads=reads).values()
        assert (row["status"], row["sent_at"]) == (status, sent_at)


def test_a_redacted_body_is_gone_but_a_wish_to_stop_is_kept() -> None:
    stop = message("SM1", at(1, 10), "received", direction="inbound", body="STOP",
                   redacted=at(1, 12))  # fmt: skip
    world = small_world(stop)
    for instants, length, encoding, asked in [
        (HOURS[11:12], 4, "gsm7", True),
        (HOURS[11:14], 0, None, True),
        (HOURS[13:14], 0, None, False),
    ]:
        reads = reads_of_all(world, instants, START)
        (row,) = expected_messages(world, HOURS[0], START, reads=reads).values()
        assert (row["body_length"], row["body_encoding"], row["is_opt_out_request"]) == (
            length, encoding, asked,
        )  # fmt: skip


def test_what_twilio_last_showed() -> None:
    m = message("SM1", at(1, 10), deleted=at(1, 12),
                steps=((at(1, 10), "queued"), (at(1, 11), "sent")))  # fmt: skip
    world = small_world(m)
    assert last_shown(world, m, HOURS[9]) is None
    for hour, status in [(10, "queued"), (11, "sent"), (20, "sent")]:
        state = last_shown(world, m, HOURS[hour])
        assert state is not None
        assert state.status == status
    world.accounts[0] = replace(world.main, ended=at(1, 11), ending="suspended")
    state = last_shown(world, m, HOURS[20])
    assert state is not None
    assert state.status == "queued"
    assert reads_of_all(world, [HOURS[11]], START) == []


def test_settled_is_what_the_last_reading_of_its_window_says() -> None:
    undelivered = message("SM1", at(1, 10), "undelivered", priced=None)
    world = small_world(undelivered)
    sid = world.main.sid

    def is_settled(*reads: Read) -> bool:
        (row,) = expected_reports(world, HOURS[0], "UTC", START, reads=reads)["daily_volume"]
        return bool(row["is_settled"])

    day, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    late = datetime(2026, 11, 2, 12, tzinfo=UTC)
    assert not is_settled(Read(MESSAGES, sid, day, end, end))  # not a day old yet
    assert is_settled(Read(MESSAGES, sid, day, end, late))
    # Its own window read again is enough, another is not.
    first = Read(MESSAGES, sid, day, end, end + timedelta(hours=2))
    assert is_settled(first, Read(MESSAGES, sid, HOURS[9], HOURS[11], late))
    assert not is_settled(first, Read(MESSAGES, sid, HOURS[11], end, late))
    # What was read within two hours of its end may lack messages that were not listed yet.
    hasty = replace(first, at=first.at - timedelta(seconds=1))
    assert not is_settled(hasty, Read(MESSAGES, sid, HOURS[9], HOURS[11], late))
    # A day is covered by windows that touch; not if a second is missing.
    morning, afternoon = (
        Read(MESSAGES, sid, day, HOURS[12], late),
        Read(MESSAGES, sid, HOURS[12], end, late),
    )
    assert is_settled(morning, afternoon)
    assert not is_settled(morning, replace(afternoon, start=HOURS[12] + timedelta(seconds=1)))


def test_usage_is_known_as_of_its_last_reading() -> None:
    world = World(WorldConfig.lively(messages=3_000, days=12, seed=3, until=UNTIL))
    sid, day = world.main.sid, date(2026, 11, 3)
    first, second = datetime(2026, 11, 4, 1, tzinfo=UTC), datetime(2026, 11, 5, 1, tzinfo=UTC)
    reads = [
        Read(USAGE, sid, first.replace(day=1, hour=0), first, first),
        Read(USAGE, sid, first.replace(hour=0), second, second),
    ]
    known = known_usage(world, reads)
    assert {key[1].day for key in known} == {1, 2, 3, 4, 5}
    assert known[0, day].read_at == int(first.timestamp())
    for read, of_day in [(first, day), (second, date(2026, 11, 4))]:
        expected = totals(daily_usage(world, int(read.timestamp())), [0], of_day, of_day)
        assert {name: entry.cost for name, entry in known[0, of_day].categories.items()} == {
            name: entry.cost for name, entry in expected.items()
            if name in known[0, of_day].categories
        }  # fmt: skip
    now = daily_usage(world, int(UNTIL.timestamp()))
    assert known[0, day].categories != now[0, day]

    # A month is settled when each of its days was read three days after its end.
    def settled(*reads: Read) -> set[bool]:
        rows = expected_reports(world, UNTIL, "UTC", START, reads=reads)["monthly_cost"]
        return {row["is_settled"] for row in rows}

    october = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    early, late = datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 4, tzinfo=UTC)
    assert settled(Read(USAGE, sid, *october, late)) == {True}
    assert settled(Read(USAGE, sid, *october, early)) == {False}
    again = Read(USAGE, sid, october[0] + timedelta(days=1), october[1], late)
    assert settled(Read(USAGE, sid, *october, early), again) == {False}
    assert settled(again) == {False}


def test_what_came_of_usage_before_it_broke_off_is_known() -> None:
    world = World(WorldConfig.lively(messages=3_000, days=12, seed=3, until=UNTIL))
    sid = world.main.sid
    start, early, late = (datetime(2026, 11, day, tzinfo=UTC) for day in (2, 5, 6))
    whole = Read(USAGE, sid, start, early, early)
    listed = [
        (record["start_date"], record["category"])
        for record in map(
            orjson.loads,
            View(world, int(late.timestamp())).usage_records(
                sid, with_subaccounts=False,
                spans=[(date(2026, 11, day),) * 2 for day in (5, 4, 3, 2)], resource="/Daily",
                category=None,
            ),
        )
    ]  # fmt: skip
    count = len(listed) * 5 // 12  # in the middle of the second day
    broken = Read(USAGE, sid, start, late, late, outcome="failed", record_count=count)
    alone = known_usage(world, [broken])
    assert {(f"{day}", name) for (_, day), known in alone.items() for name in known.categories} == {
        *listed[:count]
    }
    assert {known.read_at for known in alone.values()} == {None}
    # Each category as it was last seen; the day was read whole only before.
    both = known_usage(world, [broken, whole])
    before, now = (daily_usage(world, int(at.timestamp())) for at in (early, late))
    fourth = date(2026, 11, 4)
    seen_again = {name for day, name in listed[:count] if day == f"{fourth}"}
    assert 0 < len(seen_again) < len([name for day, name in listed if day == f"{fourth}"])
    for name, entry in both[0, fourth].categories.items():
        newest = now if name in seen_again else before
        assert entry == newest[0, fourth].get(name, Amounts()), name
    assert both[0, fourth].read_at == int(early.timestamp())
    assert before[0, fourth] != now[0, fourth]
    assert known_usage(world, [replace(broken, record_count=0)]) == {}


def test_what_was_refused_is_not_known() -> None:
    world = small_world(message("SM1", at(1, 10)))
    refused = Read(MESSAGES, world.main.sid, START, HOURS[12], HOURS[12], outcome="denied")
    assert expected_messages(world, HOURS[12], START, reads=[refused]) == {}
    assert unbroken([refused], MESSAGES) == {}
    read = replace(refused, outcome="empty")
    assert unbroken([read], MESSAGES) == {world.main.sid: [(START, HOURS[12])]}


def test_a_message_was_scheduled_when_it_was_seen_so() -> None:
    world = small_world(
        message("SM1", at(1, 10), sent=at(1, 15),
                steps=((at(1, 10), "scheduled"), (at(1, 15), "sent")))
    )  # fmt: skip
    for hours, was_scheduled in [((11, 16), True), ((16,), False), ((11,), True)]:
        reads = reads_of_all(world, [HOURS[hour] for hour in hours], START)
        (known,) = known_messages(world, reads)
        assert known.was_scheduled is was_scheduled


@pytest.mark.parametrize("seed", [1, 2])
def test_a_reader_of_odd_windows_knows_what_is_expected(seed: int) -> None:
    """A reader as simple as can be reads lists of the view; the ledger of it gives the same."""
    world = World(WorldConfig.lively(messages=3_000, days=12, seed=seed, until=UNTIL))
    random = Random(seed)
    held: dict[str, dict[str, Any]] = {}
    reads: list[Read] = []
    view: View | None = None
    for day in range(13):
        now = UNTIL - timedelta(days=12 - day, hours=random.randrange(5))
        view = View(world, int(now.timestamp()), view)
        for account in world.accounts:
            if not account.is_active(view.now):
                continue
            back = timedelta(days=random.randrange(1, 9), seconds=random.randrange(80_000))
            start, end = now - back, now - timedelta(hours=random.choice([0, 0, 0, 7]))
            dataset = random.choice([MESSAGES, MESSAGES, UNSENT_MESSAGES])
            reads.append(Read(dataset, account.sid, start, end, now))
            listing = view.messages(account.sid, only_sent=False)
            for record in map(orjson.loads, listing.records(range(len(listing)))):
                shown_at = record["date_sent"] or record["date_created"]
                wanted = (record["date_sent"] is not None) == (dataset == MESSAGES)
                if wanted and start <= parsedate_to_datetime(shown_at) < end:
                    held[record["sid"]] = record
    expected = expected_messages(world, UNTIL, START, reads=reads)
    assert held.keys() == expected.keys()
    assert len(held) > 1_500
    for sid, row in expected.items():
        record = held[sid]
        assert (
            row["status"], row["error_code"], row["sender"], row["recipient"], row["body_length"],
            row["segment_count"], row["updated_at"],
        ) == (
            record["status"], record["error_code"], record["from"], record["to"],
            len(record["body"]), int(record["num_segments"]),
            parsedate_to_datetime(record["date_updated"]),
        ), sid  # fmt: skip
        assert row["price"] == (None if record["price"] is None else Decimal(record["price"]))
    # Some are gone meanwhile, some in accounts that can be read no more.
    assert held.keys() - expected_messages(world, UNTIL, START).keys()
    volume = expected_reports(world, UNTIL, "UTC", START, reads=reads)["daily_volume"]
    assert sum(row["message_count"] for row in volume) == len(held)
