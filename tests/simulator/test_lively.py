"""A world in which everything happens: late prices, redactions, deletions, lag, new accounts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest

from simulator.process import Server, running
from simulator.usage import Bills, totals
from simulator.view import View
from simulator.world import DAY, Message, World, WorldConfig
from tests.simulator.test_wire import get

UNTIL = datetime(2026, 11, 10, 6, tzinfo=UTC)
CONFIG = WorldConfig.lively(messages=7_000, days=30, seed=5, until=UNTIL)
PLAIN = WorldConfig(messages=7_000, days=30, accounts=5, seed=5, until=UNTIL)


@pytest.fixture(scope="module")
def world() -> World:
    return World(CONFIG)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(CONFIG) as running_server:
        yield running_server


def seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def shown(view: View) -> dict[str, dict[str, Any]]:
    """Every record of every list, by SID."""
    return {
        record["sid"]: record
        for account in view.world.accounts
        for listing in [view.messages(account.sid, only_sent=False)]
        for record in map(orjson.loads, listing.records(range(len(listing))))
    }


def one(messages: list[Message], attribute: str) -> Message:
    """A message in the middle of the world to which that happens before its end."""
    return next(
        m for m in messages[len(messages) // 4 :]
        if getattr(m, attribute) and m.created + 60 < getattr(m, attribute) < seconds(UNTIL)
    )  # fmt: skip


def test_each_kind_of_turn_is_there_in_its_measure(world: World) -> None:
    counts = Counter(
        name for m in world.messages for name in ("redacted", "deleted", "listed", "extra")
        if getattr(m, name) is not None
    )  # fmt: skip
    count = len(world.messages)
    assert count * 0.005 < counts["redacted"] < count * 0.015
    assert count * 0.005 < counts["deleted"] < count * 0.015
    assert count * 0.25 < counts["listed"] < count * 0.35
    assert counts["extra"] > 0
    assert any(m.steps[-1][1] == "dispatched" for m in world.messages)
    assert any(m.channel == "telegram" for m in world.messages)
    prices = [m.priced - m.sent for m in world.messages if m.priced and m.sent is not None]
    assert 0.005 < sum(wait > DAY for wait in prices) / len(prices) < 0.03
    assert any(m.priced is None and m.steps[-1][1] == "delivered" for m in world.messages)
    waits = [m.sent - m.created for m in world.messages if m.sent is not None]
    assert sum(3600 < wait < DAY for wait in waits) > 10
    assert sum(DAY < wait < 8 * DAY for wait in waits) > 10  # scheduled
    canceled = [m for m in world.messages if m.steps[-1][1] == "canceled"]
    assert canceled
    assert all(m.sent is None for m in canceled)


def test_what_is_settled_by_rule_does_not_change_after(world: World) -> None:
    for m in world.messages:
        at = m.created if m.sent is None else m.sent
        if m.steps[0][1] != "scheduled":
            assert m.steps[-1][0] - at <= 3 * DAY + 60
        assert m.steps[-1][0] - at < 7 * DAY
        if m.priced is not None:
            assert m.priced - at < 7 * DAY
            if m.steps[-1][1] in ("failed", "undelivered"):
                assert m.priced - at <= DAY


def test_all_of_it_is_off_unless_asked_for_and_changes_nothing_else(world: World) -> None:
    plain = World(PLAIN)
    assert not any(
        m.redacted or m.deleted or m.listed or m.extra or m.channel == "telegram"
        or m.steps[-1][1] == "dispatched"
        for m in plain.messages
    )  # fmt: skip
    assert all(account.is_active(seconds(CONFIG.start)) for account in plain.accounts)
    only = World(replace(PLAIN, deletions=0.3))
    assert any(m.deleted for m in only.messages)
    for m in only.messages:
        m.deleted = None
    assert only.messages == plain.messages
    # Each is drawn for itself: the same messages vanish, whatever else happens.
    with_lag = World(replace(PLAIN, deletions=0.3, lag_minutes=5))
    again = World(replace(PLAIN, deletions=0.3))
    assert [m.deleted for m in with_lag.messages] == [m.deleted for m in again.messages]


def test_a_redaction_leaves_no_trace_but_an_empty_body(world: World) -> None:
    m = one(world.messages, "redacted")
    assert m.redacted is not None
    before, after = (View(world, m.redacted + step) for step in (-1, 0))
    then, now = shown(before)[m.sid], shown(after)[m.sid]
    assert (then["body"], now["body"]) == (m.body, "")
    assert {**then, "body": ""} == now


def test_a_deleted_message_vanishes_after_its_end(world: World) -> None:
    deleted = [m for m in world.messages if m.deleted]
    assert all((m.deleted or 0) > m.steps[-1][0] for m in deleted)
    m = one(world.messages, "deleted")
    account = world.accounts[m.account]
    for now, is_there in [((m.deleted or 0) - 1, True), (m.deleted or 0, False)]:
        view = View(world, now)
        assert (m.sid in shown(view)) == is_there
        assert (view.find(account.sid, m.sid) is not None) == is_there


def test_lists_lag_behind_for_some_minutes(world: World) -> None:
    m = one(world.messages, "listed")
    assert m.listed is not None
    assert 0 < m.listed - m.created <= CONFIG.lag_minutes * 60
    for now, is_listed in [(m.listed - 1, False), (m.listed, True)]:
        view = View(world, now)
        assert (m.sid in shown(view)) == is_listed
        assert view.find(world.accounts[m.account].sid, m.sid) is not None


@pytest.mark.parametrize(
    "step", [timedelta(minutes=7), timedelta(days=1), -timedelta(days=1), timedelta(days=9)]
)
def test_a_moved_clock_shows_what_a_fresh_look_shows(world: World, step: timedelta) -> None:
    for day in (6, 17, 29):
        now = seconds(CONFIG.start) + day * DAY + 6 * 3600
        later = now + int(step.total_seconds())
        moved, fresh = View(world, later, View(world, now)), View(world, later)
        assert shown(moved) == shown(fresh)
        assert moved.usage == fresh.usage
        for account in world.accounts:
            one, other = (v.messages(account.sid, only_sent=True) for v in (moved, fresh))
            assert one.records(range(len(one))) == other.records(range(len(other)))


def test_usage_is_final_three_days_after_a_day_and_not_before(world: World) -> None:
    bills, day = Bills(world), date(2026, 10, 28)
    end = seconds(datetime(2026, 10, 29, tzinfo=UTC))

    def figures(now: int) -> dict[str, tuple[int, int]]:
        amounts = totals(bills.as_of(now), [0], day, day)
        return {name: (entry.count, entry.cost) for name, entry in amounts.items()}

    final = figures(end + 3 * DAY)
    assert final == figures(end + 20 * DAY)
    # Asked in any order: what is final later was not final then.
    early = figures(end + 3600)
    assert early["lookups"][0] > final["lookups"][0]  # corrected downwards
    assert early["sms"][0] < final["sms"][0]
    assert early["totalprice"] != final["totalprice"] == figures(end + 4 * DAY)["totalprice"]
    assert final["sms"][0] == sum(
        m.account == 0 and m.channel == "sms" and m.steps[-1][1] != "failed" and m.sent is not None
        and end - DAY <= m.sent < end
        for m in world.messages
    )  # fmt: skip
    assert "hologram-messages" in final
    before = date(2026, 10, 12)
    assert "hologram-messages" not in totals(bills.as_of(end), [0], before, before)


def test_accounts_come_and_go(server: Server, world: World) -> None:
    main, _, closed, suspended, new = world.accounts
    assert closed.ended is not None
    assert suspended.ended is not None

    def states_at(now: int) -> dict[str, tuple[str, int, int, int | None]]:
        """Of each account listed: status, and how its record, messages and usage answer."""
        server.set_clock(datetime.fromtimestamp(now, UTC))
        listed = get(server, "/Accounts.json")[1]["accounts"]
        answers = {}
        for account in listed:
            path = f"/Accounts/{account['sid']}"
            messages, body = get(server, f"{path}/Messages.json")
            usage, _ = get(server, f"{path}/Usage/Records/Daily.json")
            status, record = get(server, f"{path}.json")
            assert (status, record) == (200, account)
            answers[account["sid"]] = account["status"], messages, usage, body.get("code")
        return answers

    try:
        active = ("active", 200, 200, None)
        early = states_at(seconds(CONFIG.start) + DAY)
        assert early == dict.fromkeys([main.sid, *(a.sid for a in world.accounts[1:4])], active)
        assert get(server, f"/Accounts/{new.sid}.json")[0] == 404
        assert get(server, f"/Accounts/{new.sid}/Messages.json")[1]["code"] == 20404
        late = states_at(seconds(UNTIL))
        assert late[new.sid] == late[main.sid] == active
        assert late[suspended.sid] == ("suspended", 403, 403, 20403)
        assert late[closed.sid] == ("closed", 401, 401, 10001)
        only = get(server, "/Accounts.json?Status=closed")[1]["accounts"]
        assert [account["sid"] for account in only] == [closed.sid]
        # Removed a month after it was closed.
        assert closed.sid not in states_at(closed.ended + 30 * DAY)
    finally:
        server.set_clock(UNTIL)


def test_an_account_sends_only_while_it_is_active(world: World) -> None:
    assert {m.account for m in world.messages} == {0, 1, 2, 3, 4}
    for m in world.messages:
        assert world.accounts[m.account].is_active(m.created)


def test_a_server_shows_the_lively_world(server: Server, world: World) -> None:
    m = one([each for each in world.messages if each.account == 0], "deleted")
    path = f"/Accounts/{server.account_sid}/Messages/{m.sid}.json"
    try:
        server.set_clock(datetime.fromtimestamp((m.deleted or 0) - 1, UTC))
        assert get(server, path)[0] == 200
        server.set_clock(datetime.fromtimestamp(m.deleted or 0, UTC))
        assert get(server, path)[1]["code"] == 20404
    finally:
        server.set_clock(UNTIL)


def test_a_configuration_goes_through_json() -> None:
    assert WorldConfig().with_json(json.loads(json.dumps(CONFIG.as_json()))) == CONFIG
    assert WorldConfig.lively(deletions=0).deletions == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"deletion": 0.1},
        {"deletions": 1.1},
        {"deletions": "few"},
        {"until": "tomorrow"},
        {"new_account": True, "accounts": 1},
        [],
    ],
)
def test_a_world_that_cannot_be_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError):
        WorldConfig().with_json(wrong)
