"""A month lived one daily run at a time, in a world where everything changes and everything fails:
nothing is lost, every figure is what was last seen, and few requests were made for it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tenacity.wait import wait_none

from flows import twilio_api
from flows.lake import Lake
from simulator.faults import Rule
from simulator.observed import known_messages
from simulator.process import running
from simulator.truth import expected_messages
from simulator.world import World, WorldConfig
from tests.flows.conftest import NOW, Warehouse, assert_equal_to_truth, lake_only, reads_of
from transforms.tables import EXTRACTIONS, MESSAGE_CHANGES, MESSAGES

DAY = timedelta(days=1)
MONTH = 30
# At every request, by chance: most are answered at the second try, a few only later.
FAULTS = [
    Rule("too_many_requests", probability=0.03),
    Rule("too_many_requests", probability=0.03, retry_after=0.01),
    Rule("server_error", probability=0.03),
    Rule("unavailable", probability=0.03),
    Rule("html_error", probability=0.03),
    Rule("truncated", probability=0.03),
    Rule("empty", probability=0.02),
    Rule("reset", probability=0.03),
    Rule("unauthorized", probability=0.02),
    Rule("duplicates", probability=0.10),
    Rule("shift", probability=0.10),
    Rule("not_found", path="Usage/", probability=0.05),
]
SLOWNESS = [Rule("hang", path="Messages", times=2), Rule("drip", path="Messages", times=2)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between attempts, and short time-outs."""
    monkeypatch.setattr(twilio_api, "_PAUSE", wait_none())
    monkeypatch.setattr(twilio_api, "READ_TIMEOUT", 1.0)
    monkeypatch.setattr(twilio_api, "ANSWER_TIMEOUT", 3.0)


def held(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    rows = Lake(warehouse.root / "lake").read(MESSAGES).to_pylist()
    return {row["message_sid"]: row for row in rows}


def test_a_month_in_a_lively_world_with_every_fault(tmp_path: Path, impatient: None) -> None:
    config = WorldConfig.lively(messages=12_000, days=MONTH + 2, seed=11, until=NOW)
    world = World(config)
    with running(config) as server:
        lived = Warehouse(tmp_path, server, {"WAREHOUSE_INITIAL_DAYS": "1"})
        failed_days: dict[int, set[str]] = {}
        shown: set[str] = set()
        in_force: list[Rule] = []
        for back in range(MONTH, -1, -1):
            now = NOW - back * DAY
            server.set_clock(now)
            if faults_of(back, world) != in_force:
                # Only then: the same rules set anew would fail the same requests again.
                in_force = faults_of(back, world)
                server.set_faults(in_force)
            with lived.active():
                run = lake_only(now, deep=back % 7 == 0)
            failed_days[back] = {
                extraction.window.account_sid
                for extraction in run.extractions
                if extraction.outcome in ("failed", "denied")
                and extraction.window.dataset == "messages"
                and run.is_active(extraction.window.account_sid)
            }
            shown |= set(held(lived))
        server.set_faults()
        # One account was denied for two days, Twilio was out for one: named, and healed since.
        assert {back: sids for back, sids in failed_days.items() if sids} == {
            20: {world.accounts[1].sid},
            19: {world.accounts[1].sid},
            12: {account.sid for account in world.accounts if account.is_active(at(12))},
        }
        happened = {
            name for name, count in server.requests().items() if name.startswith("fault_") and count
        }
        assert happened == {f"fault_{rule.kind}" for rule in [*FAULTS, *SLOWNESS]} | {
            "fault_denied"
        }

        reads = reads_of(lived)
        rows = held(lived)
        known = {one.message.sid: one for one in known_messages(world, reads)}
        assert rows.keys() == known.keys()
        assert rows.keys() == shown  # what was there once is there still
        expected = expected_messages(world, NOW, NOW - (MONTH + 1) * DAY, reads=reads)
        for sid, wanted in expected.items():
            assert {name: rows[sid][name] for name in wanted} == wanted

        # What vanished stays and says since when; what was redacted is empty, and a change.
        changes = Lake(tmp_path / "lake").read(MESSAGE_CHANGES).to_pylist()
        fields = Counter(change["field"] for change in changes)
        assert all(fields[name] > 10 for name in ("status", "price", "missing_since", "redaction"))
        for sid, one in known.items():
            if "" in one.bodies and len(one.bodies) > 1:
                assert rows[sid]["body_length"] == 0
        deleted = [sid for sid, one in known.items() if one.read_at > one.seen_at]
        assert len(deleted) > 20
        assert {sid for sid in deleted} == {
            sid for sid, row in rows.items() if row["missing_since"] is not None
        }

        lived.run("rebuild")
        assert_equal_to_truth(lived, world, NOW, NOW, reads=reads)
        assert_settled_figures_never_changed(lived, world)


def at(back: int) -> int:
    return int((NOW - back * DAY).timestamp())


def faults_of(back: int, world: World) -> list[Rule]:
    """Every fault by chance; on some days one account is refused, or all of Twilio is out."""
    if back in (19, 20):
        return [Rule("denied", account=world.accounts[1].sid), *FAULTS]
    if back == 12:
        return [Rule("unavailable", path="Messages"), *FAULTS]
    if back == 0:  # what could not be read is read at last
        return []
    return [*SLOWNESS, *FAULTS] if back == 5 else FAULTS


def assert_settled_figures_never_changed(lived: Warehouse, world: World) -> None:
    """Each settled day's counts are those of the world at its very end."""
    end = datetime.fromtimestamp(max(max(m.turns()) for m in world.messages) + 1, UTC)
    final = {message.sid: message.state_at(int(end.timestamp())) for message in world.messages}
    rows = held(lived)
    settled = [row for row in lived.report("daily_volume") if row["is_settled"] == "true"]
    assert len(settled) > 100
    by_day: dict[tuple[str, str], Counter[str]] = {}
    for sid, row in rows.items():
        when = row["sent_at"] or row["created_at"]
        counts = by_day.setdefault((f"{when:%Y-%m-%d}", row["account_sid"]), Counter())
        if row["direction"].startswith("outbound"):
            counts["delivered"] += final[sid].status in ("delivered", "read")
            counts["failed"] += final[sid].status in ("failed", "undelivered")
    said: dict[tuple[str, str], Counter[str]] = {}
    days = {(row["message_date"], row["account_sid"]) for row in settled}
    for row in lived.report("daily_volume"):
        key = row["message_date"], row["account_sid"]
        counts = said.setdefault(key, Counter())
        counts["delivered"] += int(row["delivered_count"])
        counts["failed"] += int(row["failed_count"])
        if row["is_settled"] == "false":
            days.discard(key)
    assert days
    for key in days:
        assert said[key] == by_day[key], key


def test_few_requests_are_made(tmp_path: Path) -> None:
    """At most 4 for each page of new messages; reading 7 days again each day would take 8."""
    config = WorldConfig(messages=90_000, days=17, accounts=1, seed=3, until=NOW)
    with running(config) as server:
        lived = Warehouse(tmp_path, server, {"WAREHOUSE_INITIAL_DAYS": "1"})
        for back in range(15, -1, -1):
            now = NOW - back * DAY
            server.set_clock(now)
            with lived.active():
                lake_only(now, deep=False)
            if back == 8:  # from here on every age is met
                before = server.requests()
        asked = server.requests()
    new = Counter(row["first_seen_at"] for row in held(lived).values())
    pages = sum(-(-count // 1000) for at, count in new.items() if at > NOW - 8 * DAY)
    assert pages >= 5 * 8
    made = asked["messages"] + asked["message"] - before["messages"] - before["message"]
    assert made <= 4 * pages
    ledger = Lake(tmp_path / "lake").read(EXTRACTIONS).to_pylist()
    said = sum(row["page_count"] for row in ledger if "messages" in row["dataset"])
    assert said == asked["messages"] + asked["message"]


def test_when_nothing_is_open_only_the_new_day_is_asked_for(tmp_path: Path) -> None:
    """A year on, all is settled and nothing new came: one page of the newest messages."""
    config = WorldConfig(messages=3_000, days=3, accounts=1, seed=4, until=NOW)
    with running(config) as server:
        quiet = Warehouse(tmp_path, server, {"WAREHOUSE_INITIAL_DAYS": "5"})
        for days in (2, 12, 60):
            now = NOW + days * DAY
            server.set_clock(now)
            before = server.requests()
            with quiet.active():
                lake_only(now, deep=False)
        asked = server.requests()
    assert asked["messages"] - before["messages"] == 1
    assert asked.get("message", 0) == before.get("message", 0)
