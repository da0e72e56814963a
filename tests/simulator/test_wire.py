"""The simulator speaks as Twilio does: Twilio's client and OpenAPI document understand it."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
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
PACKAGE = Path(__file__).resolve().parents[2] / ".tools/node_modules/@twilio/cli-core"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(CONFIG) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def world() -> World:
    return World(CONFIG)


class Local(TwilioHttpClient):  # type: ignore[misc]  # twilio has no types
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
        ("/Accounts/{sid}/Messages.json?DateSent%3E=1970-01-01", 400, 20004),
        ("/Accounts/{sid}/Usage/Records/Hourly.json", 404, 20404),
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


def test_paging_goes_forward_and_back_over_every_row_once(server: Server) -> None:
    path = f"/Accounts/{server.account_sid}/Messages.json?DateSent%3E=2026-11-01&PageSize=97"
    pages = [get(server, path)[1]]
    while pages[-1]["next_page_uri"]:
        pages.append(get(server, pages[-1]["next_page_uri"])[1])
    sids = [message["sid"] for page in pages for message in page["messages"]]
    whole = get(server, path.replace("=97", "=1000"))[1]["messages"]
    assert sids == [message["sid"] for message in whole]
    assert [page["page"] for page in pages] == list(range(len(pages)))
    assert len(pages) > 3
    assert pages[1]["start"] == 97
    assert f"PageToken=PA{sids[96]}" in pages[0]["next_page_uri"]
    assert pages[0]["previous_page_uri"] is None
    back = get(server, pages[2]["previous_page_uri"])[1]
    assert back["messages"] == pages[1]["messages"]
    assert get(server, pages[2]["first_page_uri"])[1]["messages"] == pages[0]["messages"]


def test_a_page_token_lasts_while_the_list_grows(server: Server) -> None:
    path = f"/Accounts/{server.account_sid}/Messages.json?PageSize=20"
    first = get(server, path)[1]
    expected = get(server, first["next_page_uri"])[1]["messages"]
    try:
        server.set_clock(UNTIL + timedelta(hours=9))
        assert get(server, path)[1]["messages"] != first["messages"]
        following = get(server, first["next_page_uri"])[1]["messages"]
    finally:
        server.set_clock(UNTIL)
    # Messages that were waiting may have been sent meanwhile, and stand elsewhere now.
    sids = {message["sid"] for message in expected}
    assert len(sids & {message["sid"] for message in following}) >= 15


def test_usage_is_paged_with_numbered_tokens(server: Server) -> None:
    path = f"/Accounts/{server.account_sid}/Usage/Records/Daily.json?StartDate=2026-11-08"
    first = get(server, path)[1]
    assert first["next_page_uri"].endswith("&Page=1&PageToken=APMQ%3D%3D")
    records, following = first["usage_records"], first
    while following["next_page_uri"]:
        following = get(server, following["next_page_uri"])[1]
        records = records + following["usage_records"]
    assert get(server, f"{path}&PageSize=1000")[1]["usage_records"] == records
    keys = {(record["start_date"], record["category"]) for record in records}
    assert len(keys) == len(records) > 200
    assert all(record["start_date"] == record["end_date"] for record in records)
    assert get(server, f"{path}&Page=1")[1]["code"] == 20001
    assert get(server, f"{path}&Page=1&PageToken=APnone")[1]["code"] == 21481


def test_what_is_older_than_its_retention_is_not_shown() -> None:
    old_world = WorldConfig(messages=400, days=420, accounts=1, seed=2, until=UNTIL)
    oldest = UNTIL.replace(hour=0) - timedelta(days=400)
    with running(old_world) as server:
        messages = f"/Accounts/{server.account_sid}/Messages"
        shown = get(server, f"{messages}.json?PageSize=1000")[1]["messages"]
        times = [parsedate_to_datetime(m["date_sent"] or m["date_created"]) for m in shown]
        assert oldest <= min(times) < oldest + timedelta(days=5)
        first = World(old_world).messages[0]
        assert first.created < (oldest - timedelta(days=7)).timestamp()
        assert get(server, f"{messages}/{first.sid}.json")[0] == 404
        for bound, day, status in [
            ("DateSent%3E", oldest, 200),
            ("DateSent%3E", oldest - timedelta(days=1), 400),
            ("DateSent%3C", oldest - timedelta(days=1), 400),
            ("DateSent", oldest - timedelta(days=1), 400),
        ]:
            answered, body = get(server, f"{messages}.json?{bound}={day:%Y-%m-%d}")
            assert answered == status
            assert status == 200 or "retention window of 400 days" in body["message"]


def test_bounds_of_a_filter_are_inclusive_and_of_any_iso_form(server: Server) -> None:
    path = f"/Accounts/{server.account_sid}/Messages.json?PageSize=1000"
    sent = parsedate_to_datetime(
        get(server, f"{path}&DateSent%3C=2026-11-05")[1]["messages"][0]["date_sent"]
    )
    for form in (
        f"{sent:%Y-%m-%dT%H:%M:%SZ}", f"{sent:%Y-%m-%d %H:%M:%SZ}", sent.isoformat(),
        f"{sent:%a, %d %b %Y %H:%M:%S +0000}",
    ):  # fmt: skip
        found = get(server, f"{path}&DateSent%3E={quote(form)}&DateSent%3C={quote(form)}")[1]
        assert {parsedate_to_datetime(m["date_sent"]) for m in found["messages"]} == {sent}
    # A date alone is its first second: what was sent on that day is not before it.
    before = get(server, f"{path}&DateSent%3C={sent:%Y-%m-%d}")[1]["messages"]
    assert all(parsedate_to_datetime(m["date_sent"]).date() < sent.date() for m in before)


def test_amounts_and_dates_are_written_as_twilio_writes_them(server: Server) -> None:
    path = f"/Accounts/{server.account_sid}/Messages.json?PageSize=1000"
    for message in get(server, path)[1]["messages"]:
        assert message["price"] is None or re.fullmatch(r"-\d+\.\d{5}", message["price"])
        assert message["price_unit"] in ("USD", None)
        assert re.fullmatch(r"\w{3}, \d\d \w{3} 2026 [\d:]{8} \+0000", message["date_created"])
    path = f"/Accounts/{server.account_sid}/Usage/Records/Daily.json?PageSize=1000"
    for record in get(server, path)[1]["usage_records"]:
        assert re.fullmatch(r"\d+(\.\d+)?", record["price"])
        assert record["price_unit"] == "usd"
        assert (record["count"] == "") == (record["category"] == "totalprice")


def test_more_requests_at_once_than_allowed_are_refused() -> None:
    tiny = WorldConfig(messages=50, days=2, accounts=2, seed=5, until=UNTIL)
    with running(tiny, latency_ms=300, concurrency=2) as slow:
        path = f"/Accounts/{slow.account_sid}/Messages.json"
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: get(slow, path), range(6)))
        assert {status for status, _ in answers} == {200, 429}
        assert {body["code"] for status, body in answers if status == 429} == {20429}
        counts = slow.requests()
    assert (counts["messages"], counts["total"]) == (6, 6)
    assert counts["messages_ok"] == sum(status == 200 for status, _ in answers) < 6
    assert counts["most_in_flight"] > 2


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(how: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--messages", "50", "--days", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        process.send_signal(how)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert list(told) == ["url", "account_sid", "auth_token", "api_key", "api_secret", "now"]
    assert (process.returncode, errors) == (0, "")


# ---- Twilio's published document

RESOURCES = {
    "/Accounts.json?PageSize=20": "/2010-04-01/Accounts.json",
    "/Accounts/{sid}.json": "/2010-04-01/Accounts/{Sid}.json",
    "/Accounts/{sid}/Messages.json?PageSize=1000": (
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
    document: dict[str, Any] = json.loads(
        next(PACKAGE.glob("**/twilio_api_v2010.json")).read_text()
    )
    return document


# Where our wire and the document differ, with the reason; all else must be as it says.
DEVIATIONS = {
    ("usage_records/*/price", "type"): (
        "the document types it a number; the wire, its own examples included, carries text"
    ),
    ("messages/*/status", "enum"): "new statuses appear without notice: ours has `shipped`",
    ("messages/*/direction", "enum"): "a direction nobody knows is ours, for readers to survive",
}


@pytest.mark.skipif(
    not PACKAGE.exists(), reason="@twilio/cli-core is not installed: `make test-tools`"
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
    validator = OAS30Validator({**schema, "components": spec["components"]})
    errors = {
        ("/".join("*" if isinstance(step, int) else step for step in error.absolute_path),
         str(error.validator)): error.message[:120]
        for error in validator.iter_errors(body)
    }  # fmt: skip
    assert not errors.keys() - DEVIATIONS.keys(), errors
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
