"""The simulator speaks as Twilio does: Twilio's client and OpenAPI document understand it."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from openapi_schema_validator import OAS30Validator
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from simulator.process import Server, running
from simulator.world import World, WorldConfig

UNTIL = datetime(2026, 11, 10, 6, tzinfo=UTC)
CONFIG = WorldConfig(messages=3_000, days=20, accounts=3, seed=5, until=UNTIL)
SPEC = (
    Path(__file__).resolve().parents[2]
    / ".tools/node_modules/@twilio/cli-core/src/services/twilio-api/twilio_api_v2010.json"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(CONFIG) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def world() -> World:
    return World(CONFIG)


class Local(TwilioHttpClient):
    def __init__(self, base: str) -> None:
        super().__init__(timeout=30)
        self.base = base

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(url)
        target = self.base + parts.path + (f"?{parts.query}" if parts.query else "")
        return super().request(method, target, *args, **kwargs)


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server.account_sid, server.auth_token, http_client=Local(server.url))


def get(
    server: Server, path: str, user: str | None = None, password: str | None = None
) -> tuple[int, Any]:
    """Status and JSON of a path below the API's version."""
    credentials = f"{user or server.account_sid}:{password or server.auth_token}"
    address = path if path.startswith("/2010") else f"/2010-04-01{path}"
    request = urllib.request.Request(
        server.url + address,
        headers={"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


# ---- twilio-python as the reader


def test_the_official_client_reads_every_message_once(client: Client, world: World) -> None:
    clock = int(UNTIL.timestamp())
    seen = [message.sid for message in client.messages.list(page_size=100)]
    mine = [m.sid for m in world.messages if m.account == 0 and m.created <= clock]
    assert len(seen) == len(set(seen))
    assert set(seen) == set(mine)


def test_the_list_is_newest_first_by_date_sent_else_date_created(client: Client) -> None:
    times = [m.date_sent or m.date_created for m in client.messages.list(page_size=1000)]
    assert times == sorted(times, reverse=True)


def test_a_date_sent_filter_takes_times_and_hides_what_was_never_sent(
    client: Client, world: World
) -> None:
    first, last = UNTIL - timedelta(days=3), UNTIL - timedelta(hours=7)
    listed = client.messages.list(date_sent_after=first, date_sent_before=last, page_size=1000)
    begin, end = int(first.timestamp()), int(last.timestamp())
    assert {message.sid for message in listed} == {
        m.sid for m in world.messages if m.account == 0 and m.sent and begin <= m.sent <= end
    }
    assert listed


def test_a_date_alone_is_that_gmt_day(client: Client, world: World) -> None:
    day = (UNTIL - timedelta(days=2)).date()
    listed = client.messages.list(date_sent=day, page_size=1000)
    assert {message.date_sent.date() for message in listed} == {day}


def test_the_client_parses_every_type(client: Client) -> None:
    message = client.messages.list(limit=1)[0]
    fetched = client.messages(message.sid).fetch()
    assert fetched.date_created.tzinfo is not None
    assert fetched.num_segments.isdigit()
    assert isinstance(fetched.status.value if hasattr(fetched.status, "value") else fetched.status,
                      str)  # fmt: skip


def test_sub_accounts_are_listed_and_read_with_the_main_token(client: Client) -> None:
    accounts = client.api.v2010.accounts.list()
    assert len(accounts) == 3
    assert all(account.auth_token for account in accounts)
    assert client.api.v2010.accounts(accounts[2].sid).messages.list(limit=5)


def test_usage_reads_by_day_and_adds_up(client: Client) -> None:
    day = (UNTIL - timedelta(days=2)).date()
    records = {
        r.category: r.price
        for r in client.usage.records.daily.list(
            start_date=day, end_date=day, include_subaccounts=False, page_size=1000
        )
    }
    assert records["sms"] == records["sms-inbound"] + records["sms-outbound"]
    assert records["channels"] == records["channels-messaging"] + records["channels-whatsapp"]
    assert len([category for category, price in records.items() if not price]) > 50


def test_errors_reach_the_client_as_twilios(server: Server, client: Client) -> None:
    with pytest.raises(TwilioRestException) as caught:
        client.messages("SM" + "0" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)
    wrong = Client(server.account_sid, "wrong", http_client=Local(server.url))
    with pytest.raises(TwilioException):
        wrong.messages.list(limit=1)


# ---- errors and limits, as documented


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/Accounts/{sid}/Messages.json?Page=2", 400, 20001),
        ("/Accounts/{sid}/Messages.json?Page=1&PageToken=PASMnone", 400, 21481),
        ("/Accounts/{sid}/Messages.json?DateSent%3E=2025-01-01", 400, 20004),
        ("/Accounts/{sid}/Messages.json?DateSent%3E=yesterday", 400, 20001),
        ("/Accounts/{sid}/Messages/SM1.json", 404, 20404),
        ("/Accounts/AC" + "0" * 32 + "/Messages.json", 404, 20404),
        ("/Accounts/{sid}/Nothing.json", 404, 20404),
        ("/Accounts/{sid}/Usage/Records/Daily.json?StartDate=2026-11-02&EndDate=2026-11-01", 404,
         20404),
        ("/Accounts/{sid}/Usage/Records/Daily.json?StartDate=soon", 400, 20001),
    ],
)  # fmt: skip
def test_wrong_questions_get_twilios_errors(
    server: Server, path: str, status: int, code: int
) -> None:
    answered, body = get(server, path.format(sid=server.account_sid))
    assert (answered, body["code"], body["status"]) == (status, code, status)
    assert body["more_info"].endswith(str(code))


def test_credentials_reach_what_theirs_is(server: Server, world: World) -> None:
    sub = world.accounts[1]
    main_messages = f"/Accounts/{server.account_sid}/Messages.json"
    sub_messages = f"/Accounts/{sub.sid}/Messages.json"
    assert get(server, sub_messages)[0] == 200
    assert get(server, sub_messages, sub.sid, sub.auth_token)[0] == 200
    assert get(server, main_messages, sub.sid, sub.auth_token)[0] == 404
    key = server.api_key, server.api_secret
    assert get(server, main_messages, *key)[0] == 200
    assert get(server, sub_messages, *key)[0] == 404
    assert get(server, "/Accounts.json", *key)[0] == 401
    assert get(server, main_messages, "AC1", "x")[1]["code"] == 20003


def test_pages_hold_fifty_unless_asked_and_a_thousand_at_most(server: Server) -> None:
    path = f"/Accounts/{server.account_sid}/Messages.json"
    assert len(get(server, path)[1]["messages"]) == 50
    assert len(get(server, f"{path}?PageSize=5000")[1]["messages"]) == 1000


def test_unknown_parameters_are_ignored(server: Server) -> None:
    path = f"/Accounts/{server.account_sid}/Messages.json?PageSize=10"
    plain, odd = get(server, path)[1], get(server, f"{path}&DateCreated=2026-01-01")[1]
    assert plain["messages"] == odd["messages"]


def test_addresses_are_filtered_with_their_prefix(server: Server) -> None:
    path = f"/Accounts/{server.account_sid}/Messages.json"
    to = get(server, f"{path}?PageSize=1")[1]["messages"][0]["to"]
    found = get(server, f"{path}?To={quote(to)}&PageSize=1000")[1]["messages"]
    assert {message["to"] for message in found} == {to}


def test_usage_of_the_main_account_contains_its_sub_accounts_unless_told(server: Server) -> None:
    path = f"/Accounts/{server.account_sid}/Usage/Records.json?Category=totalprice"
    path += "&StartDate=2026-11-01&EndDate=2026-11-05"
    (whole,) = get(server, path)[1]["usage_records"]
    (alone,) = get(server, f"{path}&IncludeSubaccounts=false")[1]["usage_records"]
    assert whole["account_sid"] == alone["account_sid"] == server.account_sid
    assert float(whole["price"]) > float(alone["price"]) > 0


def test_the_clock_moves_the_world(server: Server, world: World) -> None:
    path = f"/Accounts/{server.account_sid}/Messages.json?PageSize=1"
    newest = get(server, path)[1]["messages"][0]["date_created"]
    try:
        server.set_clock(UNTIL - timedelta(days=5))
        earlier = get(server, path)[1]["messages"][0]["date_created"]
    finally:
        server.set_clock(UNTIL)
    assert earlier != newest
    assert get(server, path)[1]["messages"][0]["date_created"] == newest


def test_the_same_seed_is_the_same_world() -> None:
    assert World(CONFIG).messages == World(CONFIG).messages
    other = WorldConfig(**{**vars(CONFIG), "seed": 6})
    assert World(other).messages != World(CONFIG).messages


def test_every_number_is_fictional(world: World) -> None:
    fictional = re.compile(r"^(\+1\d{3}55501\d\d|\+447700900\d{3}|\+(52|34|57|54|55)0\d{9})$")
    for message in world.messages:
        for address in (message.sender, message.recipient):
            number = (address or "").rpartition(":")[2]
            assert not number.startswith("+") or fictional.match(number), number


def test_the_world_has_every_kind_of_message(world: World) -> None:
    clock = int(UNTIL.timestamp())
    states = [m.state_at(clock) for m in world.messages if m.created <= clock]
    assert {
        "scheduled", "canceled", "queued", "sent", "delivered", "read", "failed",
        "undelivered", "received",
    } <= {state.status for state in states} | {"queued"}  # fmt: skip
    assert {m.channel for m in world.messages} == {"sms", "mms", "whatsapp", "messenger", "rcs"}
    assert {m.direction for m in world.messages} == {
        "inbound", "outbound-api", "outbound-call", "outbound-reply",
    }  # fmt: skip
    assert any(state.price is None and state.status == "delivered" for state in states)
    assert any(state.sender is None for state in states)


# ---- Twilio's published document

RESOURCES = {
    "/Accounts.json?PageSize=20": "/2010-04-01/Accounts.json",
    "/Accounts/{sid}.json": "/2010-04-01/Accounts/{Sid}.json",
    "/Accounts/{sid}/Messages.json?PageSize=500": (
        "/2010-04-01/Accounts/{AccountSid}/Messages.json"
    ),
    "/Accounts/{sid}/Messages/{message}.json": (
        "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json"
    ),
    "/Accounts/{sid}/Usage/Records.json?PageSize=200": (
        "/2010-04-01/Accounts/{AccountSid}/Usage/Records.json"
    ),
    "/Accounts/{sid}/Usage/Triggers.json": "/2010-04-01/Accounts/{AccountSid}/Usage/Triggers.json",
    **{
        f"/Accounts/{{sid}}/Usage/Records/{period}.json?PageSize=200": (
            f"/2010-04-01/Accounts/{{AccountSid}}/Usage/Records/{period}.json"
        )
        for period in (
            "AllTime", "Daily", "LastMonth", "Monthly", "ThisMonth", "Today", "Yearly", "Yesterday",
        )
    },
}  # fmt: skip


@lru_cache
def published() -> dict[str, Any]:
    return json.loads(next(SPEC.parents[3].glob("**/twilio_api_v2010.json")).read_text())


def loosened(schema: Any) -> Any:
    """The schema with what Twilio's document is known to get wrong about its own wire.

    - enums of statuses and categories are open: new values appear without notice;
    - `price` of usage and triggers is typed a number, and is text on the wire;
    - formats (`date-time-rfc-2822`, `uri`) are not JSON Schema's.
    """
    if isinstance(schema, dict):
        kept = {key: loosened(value) for key, value in schema.items() if key not in
                ("enum", "format", "pattern")}  # fmt: skip
        if kept.get("type") == "number":
            kept["type"] = "string"
        return kept
    return [loosened(item) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.skipif(
    not SPEC.parents[3].exists(), reason="@twilio/cli-core is not installed: `make test-tools`"
)
@pytest.mark.parametrize("asked", RESOURCES)
def test_answers_are_as_the_published_document_says(server: Server, asked: str) -> None:
    spec = published()
    message = get(server, f"/Accounts/{server.account_sid}/Messages.json?PageSize=1")[1]
    path = asked.format(sid=server.account_sid, message=message["messages"][0]["sid"])
    status, body = get(server, path)
    operation = spec["paths"][RESOURCES[asked]]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert status == 200
    document = {**loosened(schema), "components": loosened(spec["components"])}
    errors = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:120]}"
        for error in OAS30Validator(document).iter_errors(body)
    ]
    assert not errors, errors[:5]
    # Both ways: no documented field is missing, none is made up.
    records = next((value for value in body.values() if isinstance(value, list)), [body])
    fields = set(documented(spec, schema))
    assert records
    assert {name for record in records for name in record} - {"tags"} == fields


def documented(spec: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    properties = schema.get("properties", {})
    for value in properties.values():
        if value.get("type") == "array":
            schema = value["items"]
    if "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema["properties"])
