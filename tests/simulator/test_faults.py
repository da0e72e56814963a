"""Faults happen as they are told to, when they are told to, and are counted."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from simulator.faults import KINDS, Faults, Rule, rules_from
from simulator.process import Server, running
from simulator.world import World, WorldConfig

UNTIL = datetime(2026, 11, 10, 18, tzinfo=UTC)
CONFIG = WorldConfig(messages=1_500, days=3, accounts=2, seed=5, until=UNTIL)


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    with running(CONFIG) as server:
        yield server


@pytest.fixture
def server(running_server: Server) -> Iterator[Server]:
    """A simulator in which nothing goes wrong yet."""
    running_server.set_faults()
    yield running_server
    running_server.set_faults()


def ask(
    server: Server, resource: str = "Messages.json", timeout: float = 10, account: str = "",
    **query: Any,
) -> requests.Response:  # fmt: skip
    path = resource
    if not resource.startswith("/"):
        path = f"/2010-04-01/Accounts/{account or server.account_sid}/{resource}"
    return requests.get(
        f"{server.url}{path}" + (f"?{urlencode(query)}" if query else ""),
        auth=(server.account_sid, server.auth_token),
        timeout=timeout,
    )


def sids_of_pages(server: Server, **query: Any) -> list[list[str]]:
    """The SIDs of each page of a list."""
    pages = [ask(server, **query).json()]
    while pages[-1]["next_page_uri"]:
        pages.append(ask(server, pages[-1]["next_page_uri"]).json())
    return [[message["sid"] for message in page["messages"]] for page in pages]


def joined(pages: list[list[str]]) -> list[str]:
    """All rows, in order."""
    return list(chain.from_iterable(pages))


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        ({"kind": "too_many_requests"}, 429, 20429),
        ({"kind": "server_error"}, 500, 20500),
        ({"kind": "unavailable"}, 503, 20503),
        ({"kind": "unauthorized"}, 401, 20003),
        ({"kind": "denied"}, 403, 20403),
        ({"kind": "denied", "status": 401}, 401, 20003),
        ({"kind": "not_found"}, 404, 20404),
    ],
)
def test_refusals_are_twilios(server: Server, rule: dict[str, Any], status: int, code: int) -> None:
    server.set_faults([rule])
    refused = ask(server)
    assert (refused.status_code, refused.json()["code"], refused.json()["status"]) == (
        status, code, status,
    )  # fmt: skip
    assert "Retry-After" not in refused.headers
    server.set_faults([{**rule, "retry_after": 2}])
    assert ask(server).headers["Retry-After"] == "2"
    server.set_faults([])
    assert ask(server).status_code == 200


def test_an_edge_answers_in_html(server: Server) -> None:
    server.set_faults([Rule("html_error")])
    page = ask(server)
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert page.text.startswith("<html>")


def test_a_truncated_answer_looks_whole_but_is_no_json(server: Server) -> None:
    whole = ask(server).content
    server.set_faults([Rule("truncated")])
    half = ask(server)
    assert (half.status_code, half.headers["Content-Length"]) == (200, str(len(half.content)))
    assert half.content == whole[: len(whole) // 2]
    with pytest.raises(json.JSONDecodeError):
        half.json()
    server.set_faults([Rule("empty")])
    assert (ask(server).status_code, ask(server).content) == (200, b"")


def test_a_reset_comes_in_the_middle_of_the_body(server: Server) -> None:
    server.set_faults([Rule("reset")])
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    answer = requests.Request(
        "GET", f"{server.url}/2010-04-01/Accounts/{server.account_sid}/Messages.json",
        auth=(server.account_sid, server.auth_token),
    ).prepare()  # fmt: skip
    connection.request("GET", answer.path_url, headers=dict(answer.headers))
    response = connection.getresponse()
    assert response.status == 200
    time.sleep(0.2)
    with pytest.raises(ConnectionResetError):
        response.read()
    with pytest.raises(requests.RequestException):
        ask(server)


@pytest.mark.parametrize(
    "rule", [Rule("hang"), Rule("drip", seconds=0.3), Rule("drip", seconds=60)]
)
def test_slow_answers_do_not_end_before_their_reader_or_the_server(rule: Rule) -> None:
    failures: list[Exception] = []

    def read(server: Server) -> None:
        try:
            ask(server, timeout=60)
        except requests.RequestException as error:
            failures.append(error)

    with running(CONFIG, faults=[rule]) as server:
        with pytest.raises((requests.Timeout, requests.ConnectionError)):
            ask(server, timeout=0.2 if rule.kind == "hang" or rule.seconds == 60 else 0.1)
        waiting = threading.Thread(target=read, args=[server])
        waiting.start()
        time.sleep(0.7)
        assert not failures
        assert waiting.is_alive()
        assert server.requests()["messages"] == 2
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    waiting.join(5)
    assert len(failures) == 1


def test_a_drop_can_be_slow_and_whole(server: Server) -> None:
    whole = ask(server, PageSize=1).content
    server.set_faults([Rule("drip", seconds=0.0001)])
    assert ask(server, PageSize=1).content == whole


def test_a_page_repeats_rows_of_the_page_before_and_loses_none(server: Server) -> None:
    pages = sids_of_pages(server, PageSize=40)
    server.set_faults([Rule("duplicates", rows=7)])
    repeating = sids_of_pages(server, PageSize=40)
    assert repeating[0] == pages[0]
    assert repeating[1][:7] == pages[0][-7:]
    assert list(dict.fromkeys(joined(repeating))) == joined(pages)
    assert len(joined(repeating)) == len(joined(pages)) + 7 * (len(repeating) - 1)
    # More than a page holds must not keep the reader on it for ever.
    server.set_faults([Rule("duplicates", rows=500)])
    assert list(dict.fromkeys(joined(sids_of_pages(server, PageSize=40)))) == joined(pages)


def test_messages_come_in_while_a_list_is_read(server: Server) -> None:
    pages = sids_of_pages(server, PageSize=40)
    rows = joined(pages)
    server.set_faults([Rule("shift", seconds=3600)])
    shifting = sids_of_pages(server, PageSize=40)
    come = rows.index(shifting[0][0])
    assert 0 < come < 39
    assert shifting[0] == rows[come : come + 40]
    assert shifting[1][:come] == shifting[0][-come:]
    assert list(dict.fromkeys(joined(shifting))) == rows[come:]
    # A window that ended before is not touched.
    older = {"DateSent<": "2026-11-09", "PageSize": 40}
    shifted = sids_of_pages(server, **older)
    server.set_faults()
    assert sids_of_pages(server, **older) == shifted
    assert sids_of_pages(server, PageSize=40) == pages


def test_a_fault_keeps_to_its_path_its_account_and_its_times(server: Server) -> None:
    sub = World(CONFIG).accounts[1].sid
    server.set_faults(
        [
            Rule("not_found", path=r"/Usage/"),
            Rule("denied", account=sub),
            Rule("server_error", path=r"/Messages\.json$", times=2),
        ]
    )
    usage = "Usage/Records/Daily.json"
    statuses = [ask(server).status_code for _ in range(3)]
    assert statuses == [500, 500, 200]
    assert ask(server, usage).json()["code"] == 20404
    assert (ask(server, account=sub).status_code, ask(server, usage, account=sub).status_code) == (
        403, 404,
    )  # fmt: skip
    shown = requests.get(f"{server.url}/simulator/faults", timeout=10).json()
    assert [rule["times"] for rule in shown] == [None, None, 0]


def test_requests_are_counted_by_kind_and_fate(server: Server) -> None:
    sid = sids_of_pages(server)[0][0]
    before = server.requests()
    server.set_faults([Rule("unavailable", path="Messages/", times=1), Rule("shift", times=1)])
    asked = ["Messages.json", "Messages.json", f"Messages/{sid}.json", f"Messages/{sid}.json"]
    for resource in [*asked, "Messages/SM1.json", "Usage/Records.json"]:
        ask(server, resource)
    after = server.requests()
    counted = {name: after[name] - before.get(name, 0) for name in after}
    assert (counted["messages"], counted["messages_ok"]) == (2, 2)
    assert (counted["message"], counted["message_ok"]) == (3, 1)
    assert (counted["usage"], counted["usage_ok"]) == (1, 1)
    assert (counted["fault_unavailable"], counted["fault_shift"], counted["total"]) == (1, 1, 6)


def test_chance_is_of_the_seed_and_not_of_the_order() -> None:
    requests_made = [(f"/Accounts/AC/Messages/SM{i}.json", "", "AC") for i in range(400)]

    def hit(seed: int, order: list[tuple[str, str, str]]) -> set[str]:
        faults = Faults([Rule("reset", probability=0.25)], seed)
        return {request[0] for request in order if faults.next_for(*request)}

    once = hit(1, requests_made)
    assert 60 < len(once) < 140
    assert hit(1, requests_made[::-1]) == once
    assert hit(2, requests_made) != once
    # A request made again takes its chance again.
    faults = Faults([Rule("reset", probability=0.5)], 1)
    assert {faults.next_for("/a", "", "") is None for _ in range(20)} == {True, False}
    assert faults.happened["reset"] > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "reset"},
        ["reset"],
        [{"kind": "earthquake"}],
        [{"path": "Usage"}],
        [{"kind": "reset", "often": True}],
        [{"kind": "reset", "probability": 2}],
        [{"kind": "reset", "probability": "often"}],
        [{"kind": "reset", "path": "("}],
    ],
)
def test_what_is_no_fault_is_refused(server: Server, wrong: Any) -> None:
    with pytest.raises(ValueError):
        rules_from(wrong)
    answer = requests.put(f"{server.url}/simulator/faults", json=wrong, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert ask(server).status_code == 200


def test_every_kind_can_be_set_and_says_so(server: Server) -> None:
    server.set_faults([Rule(kind, times=0) for kind in KINDS])
    assert ask(server).status_code == 200
    with pytest.raises(urllib.error.HTTPError):
        server.set_faults([{"kind": "earthquake"}])
