"""The monitor: live figures equal a count by hand over the simulator's own messages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.errors import TwilioError, WrongUseError
from flows.monitoring import Monitor, monitor_twilio
from flows.settings import Settings
from simulator.process import Server
from simulator.truth import expected_messages
from simulator.world import World
from tests.flows.conftest import NOW, Warehouse
from tests.flows.test_cli import call

SINCE = NOW - timedelta(hours=24)


@pytest.fixture
def faulty(account: Server) -> Iterator[Server]:
    """The simulator, made to fail by the test; well again afterwards."""
    yield account
    account.set_faults()


def ask(account: Server, *, hours: float = 24, last: int = 10, **settings: Any) -> Monitor:
    known = Settings(
        account_sid=account.account_sid, auth_token=account.auth_token,
        api_base_url=account.url, **settings,
    )  # fmt: skip
    return monitor_twilio(known, hours, last, NOW)


def channel_of(row: dict[str, Any]) -> str:
    address = row["sender"] if row["direction"] == "inbound" else row["recipient"]
    if address and ":" in address:
        return address.partition(":")[0].lower()
    return "mms" if row["media_count"] or row["message_sid"].startswith("MM") else "sms"


def messages_since(world: World, since: datetime) -> list[dict[str, Any]]:
    known = expected_messages(world, NOW, since - timedelta(days=40))
    rows = [{"message_sid": sid, **row} for sid, row in known.items()]
    return [row for row in rows if since <= (row["sent_at"] or row["created_at"]) < NOW]


@pytest.fixture(scope="module")
def rows(world: World) -> list[dict[str, Any]]:
    """The last day's messages by the simulator's own records."""
    return messages_since(world, SINCE)


@pytest.fixture(scope="module")
def seen(account: Server) -> Monitor:
    return ask(account)


def outbound(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["direction"].startswith("outbound")]


def attempted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    never = ("accepted", "scheduled", "canceled")
    return [row for row in outbound(rows) if row["status"] not in never]


def test_every_message_of_every_account_is_counted(
    seen: Monitor, rows: list[dict[str, Any]]
) -> None:
    wanted = Counter((channel_of(row), row["status"]) for row in rows)
    found: Counter[tuple[str, str]] = Counter()
    for row in seen.counts:
        found[row["channel"], row["status"]] += row["message_count"]
    assert found == wanted
    assert {row["status"] for row in seen.counts} >= {"delivered", "received", "failed"}
    by_account = Counter(row["account_sid"] for row in rows)
    assert {entry.account_sid: entry.message_count for entry in seen.accounts} == by_account
    assert len(by_account) == 3
    assert seen.notices == []


def test_delivery_follows_the_definitions(seen: Monitor, rows: list[dict[str, Any]]) -> None:
    tried = attempted(rows)
    arrived = [row for row in tried if row["status"] in ("delivered", "read")]
    failed = [row for row in tried if row["status"] in ("failed", "undelivered")]
    (total,) = [row for row in seen.delivery if row["channel"] is None]
    assert total == {
        "channel": None,
        "message_count": len(outbound(rows)),
        "attempted_count": len(tried),
        "delivered_count": len(arrived),
        "failed_count": len(failed),
        "unconfirmed_count": len(tried) - len(arrived) - len(failed),
        "delivery_rate": len(arrived) / len(tried),
        "confirmed_delivery_rate": len(arrived) / (len(arrived) + len(failed)),
    }
    by_channel = {row["channel"]: row["attempted_count"] for row in seen.delivery}
    assert by_channel == {**Counter(channel_of(row) for row in tried), None: len(tried)}


def test_errors_come_with_a_remedy_in_the_language(
    seen: Monitor, account: Server, rows: list[dict[str, Any]]
) -> None:
    wanted = Counter(
        row["error_code"] or 0
        for row in attempted(rows)
        if row["error_code"] is not None or row["status"] in ("failed", "undelivered")
    )
    assert {row["error_code"]: row["message_count"] for row in seen.errors} == wanted
    assert all(row["title"] and row["remedy"] for row in seen.errors)
    spanish = ask(account, language="es")
    pairs = list(zip(seen.errors, spanish.errors, strict=True))
    assert all(english["remedy"] != other["remedy"] for english, other in pairs)
    assert seen.errors[0]["url"].endswith(f"/{seen.errors[0]['error_code']}")


def test_the_last_messages_are_masked_and_have_no_body(
    seen: Monitor, account: Server, rows: list[dict[str, Any]]
) -> None:
    newest = sorted((row["sent_at"] or row["created_at"] for row in rows), reverse=True)[:10]
    assert [row["message_at"] for row in seen.last_messages] == newest
    told = json.dumps(seen.as_dict(), default=str)
    numbers = {row["recipient"].rpartition(":")[2] for row in rows if row["recipient"]}
    assert len(numbers) > 100
    assert not [number for number in numbers if number in told]
    assert "body" not in told
    assert account.auth_token not in told
    assert len(ask(account, last=3).last_messages) == 3


def test_other_hours_show_other_messages(account: Server, world: World) -> None:
    wanted = messages_since(world, NOW - timedelta(hours=72))
    seen = ask(account, hours=72)
    assert sum(row["message_count"] for row in seen.counts) == len(wanted)
    assert seen.since == NOW - timedelta(hours=72)


def test_pages_that_shift_while_they_are_read_count_nothing_twice(
    faulty: Server, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.twilio_api.Connection.pages.__defaults__", ("50",))
    faulty.set_faults([{"kind": "duplicates", "rows": 7}])
    seen = ask(faulty)
    assert faulty.requests()["fault_duplicates"] > 0
    assert sum(row["message_count"] for row in seen.counts) == len(rows)


def test_more_messages_than_are_looked_through_are_read_by_date_sent(
    account: Server, rows: list[dict[str, Any]]
) -> None:
    seen = ask(account, unsent_pages=0)
    sent = [row for row in rows if row["sent_at"] is not None]
    assert sum(row["message_count"] for row in seen.counts) == len(sent)
    assert 0 < len(sent) < len(rows)
    assert len(seen.notices) == 3
    assert "WAREHOUSE_UNSENT_PAGES" in seen.notices[0]


def test_where_the_looking_through_ends_reading_by_date_sent_goes_on(
    account: Server, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.twilio_api.Connection.pages.__defaults__", ("50",))
    seen = ask(account, unsent_pages=2)
    sent = Counter(row["status"] for row in rows if row["sent_at"] is not None)
    found: Counter[str] = Counter()
    for row in seen.counts:
        found[row["status"]] += row["message_count"]
    assert {status: found[status] for status in ("delivered", "read", "received", "sent")} == {
        status: sent[status] for status in ("delivered", "read", "received", "sent")
    }
    assert sent.total() <= found.total() < len(rows)
    assert len(seen.notices) == 3


def test_a_denied_account_is_named_and_stops_no_other(
    faulty: Server, world: World, rows: list[dict[str, Any]]
) -> None:
    denied = world.accounts[1].sid
    faulty.set_faults([{"kind": "denied", "account": denied}])
    seen = ask(faulty)
    outcomes = {entry.account_sid: entry.outcome for entry in seen.accounts}
    assert outcomes == {
        entry.sid: "denied" if entry.sid == denied else "ok" for entry in world.accounts
    }
    others = [row for row in rows if row["account_sid"] != denied]
    assert sum(row["message_count"] for row in seen.counts) == len(others)
    assert world.accounts[1].name in seen.notices[0]
    assert "20403" in seen.notices[0]


def test_without_any_account_it_fails(faulty: Server) -> None:
    faulty.set_faults([{"kind": "denied", "path": "Messages.json"}])
    with pytest.raises(TwilioError, match="20403"):
        ask(faulty)


def test_the_accounts_are_those_of_the_setting(account: Server, world: World) -> None:
    first, second = world.accounts[0].sid, world.accounts[1].sid

    def asked(choice: str) -> list[str]:
        return [entry.account_sid for entry in ask(account, subaccounts=choice).accounts]

    assert asked("none") == [first]
    assert asked(second) == [first, second]
    with pytest.raises(WrongUseError, match="WAREHOUSE_SUBACCOUNTS"):
        asked("AC" + "0" * 32)


def test_an_api_key_shows_its_own_account(account: Server) -> None:
    seen = monitor_twilio(
        Settings(
            account_sid=account.account_sid, api_key=account.api_key,
            api_secret=account.api_secret, api_base_url=account.url,
        ),
        now=NOW,
    )  # fmt: skip
    assert [entry.account_sid for entry in seen.accounts] == [account.account_sid]
    assert seen.accounts[0].message_count > 0


def test_an_hour_without_messages_is_said_to_have_none(account: Server, tmp_path: Path) -> None:
    before = NOW - timedelta(days=400)
    environment = Warehouse(tmp_path, account).environment
    result = call(
        "monitor", "--hours", "1", "--now", before.isoformat(), cwd=tmp_path, **environment
    )
    assert result.returncode == 0, result.stderr
    assert "No messages." in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_command_speaks_spanish_in_local_time(account: Server, tmp_path: Path) -> None:
    environment = {
        **Warehouse(tmp_path, account).environment,
        "WAREHOUSE_LANGUAGE": "es", "WAREHOUSE_TIMEZONE": "America/Mexico_City",
    }  # fmt: skip
    result = call("monitor", "--now", NOW.isoformat(), cwd=tmp_path, **environment)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Twilio desde 09/11/2026 00:00 hasta 10/11/2026 00:00")
    assert "Tasa de entrega" in result.stdout
    (total,) = [line for line in lines if "todos los canales" in line]
    assert total.count(" %") + total.count("%") >= 2
    assert "," in total
    assert "…" not in "".join(line for line in lines if "Quítela" in line)
    assert account.auth_token not in result.stdout + result.stderr
    assert list(tmp_path.iterdir()) == []


def test_json_is_for_programs(account: Server, tmp_path: Path) -> None:
    environment = Warehouse(tmp_path, account).environment
    result = call(
        "monitor", "--json", "--last", "2", "--now", NOW.isoformat(), cwd=tmp_path, **environment
    )
    told = json.loads(result.stdout)
    assert len(told["last_messages"]) == 2
    assert datetime.fromisoformat(told["since"]) == SINCE.astimezone(UTC)
    assert told["delivery"][-1]["channel"] is None
    wrong = call("monitor", "--hours", "-1", cwd=tmp_path, **environment)
    assert wrong.returncode == 2
