"""Asking Twilio: what is tried again, what is not, and how many at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import tenacity

from flows import twilio_api
from flows.datasets import MESSAGES_SENT, MESSAGES_UNSENT
from flows.errors import TwilioError
from flows.settings import Settings
from flows.twilio_api import ConcurrencyLimit, Connection
from transforms.windows import Window

SID = "AC" + "0" * 32
WINDOW = Window(
    "messages", SID, datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
)
GOOD = json.dumps({"messages": [{"sid": "SM1"}], "next_page_uri": None})
Answer = tuple[int, str] | tuple[int, str, dict[str, str]] | None


@contextmanager
def answering(*answers: Answer) -> Iterator[tuple[Connection, list[str]]]:
    """A connection to a server that gives these answers in turn, and what it was asked.

    None: the connection is cut in mid-answer.
    """
    left, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            answer = left.pop(0) if left else (500, "no answer left")
            if answer is None:
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"messages": [')
                self.close_connection = True
                return
            status, text, *rest = answer
            self.send_response(status)
            for name, value in (rest[0] if rest else {}).items():
                self.send_header(name, value)
            content = text.encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        settings = Settings(
            account_sid=SID,
            auth_token="the-secret-token",
            api_base_url=f"http://127.0.0.1:{server.server_port}",
        )
        yield Connection(settings), asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waiting takes no time; how long it would have is kept."""
    waited: list[float] = []
    monkeypatch.setattr(tenacity.nap.time, "sleep", waited.append)
    return waited


def read(connection: Connection) -> int:
    return sum(page.records.num_rows for page in connection.pages(MESSAGES_SENT, WINDOW))


TWILIO_503 = json.dumps({"code": 20503, "message": "Service unavailable", "status": 503})
TWILIO_401 = json.dumps({"code": 20003, "message": "Authenticate", "status": 401})


@pytest.mark.parametrize(
    "bad",
    [
        (429, json.dumps({"code": 20429, "message": "Too Many Requests"})),
        (500, "<html>oops</html>"),
        (503, TWILIO_503),
        (200, "<html>a proxy's page</html>"),
        (200, '{"messages": [{"sid": "SM1"'),
        (200, ""),
        (401, TWILIO_401),
        None,
    ],
)
def test_what_may_pass_is_asked_again(bad: Answer) -> None:
    with answering(bad, (200, GOOD)) as (connection, asked):
        assert read(connection) == 1
        assert len(asked) == 2


def test_retry_after_is_honoured(pauses: list[float]) -> None:
    with answering((429, "{}", {"Retry-After": "7"}), (200, GOOD)) as (connection, _):
        read(connection)
    assert pauses == [7.0]


def test_pauses_grow(pauses: list[float]) -> None:
    with answering(*[(500, "")] * 4, (200, GOOD)) as (connection, _):
        read(connection)
    assert len(pauses) == 4
    assert pauses[0] < 2 < pauses[3]


@pytest.mark.parametrize(
    ("answer", "tries", "outcome"),
    [
        ((401, TWILIO_401), 2, "denied"),
        ((403, json.dumps({"code": 20403, "message": "Forbidden"})), 1, "denied"),
        ((404, json.dumps({"code": 20404, "message": "not found"})), 1, "not_found"),
        (
            (400, json.dumps({"code": 20004, "message": "… outside of retention window …"})), 1,
            "retention",
        ),
        ((400, json.dumps({"code": 20001, "message": "Invalid parameter"})), 1, "failed"),
        ((500, "<html>secret stack</html>"), twilio_api.ATTEMPTS, "failed"),
    ],
)  # fmt: skip
def test_what_cannot_pass_is_named(answer: Answer, tries: int, outcome: str) -> None:
    with answering(*[answer] * 10) as (connection, asked):
        with pytest.raises(TwilioError) as caught:
            read(connection)
        assert len(asked) == tries
    assert caught.value.outcome == outcome
    assert "the-secret-token" not in str(caught.value)
    assert "secret stack" not in str(caught.value)


def test_the_window_is_asked_for_in_utc_with_pages_of_a_thousand() -> None:
    with answering((200, GOOD)) as (connection, asked):
        read(connection)
    assert asked == [
        f"/2010-04-01/Accounts/{SID}/Messages.json?DateSent%3E=2026-11-01T00%3A00%3A00Z"
        "&DateSent%3C=2026-11-02T00%3A00%3A00Z&PageSize=1000"
    ]


def test_the_next_page_is_where_twilio_says() -> None:
    first = json.dumps({"messages": [{"sid": "SM1"}], "next_page_uri": "/2010-04-01/next?Page=1"})
    with answering((200, first), (200, GOOD)) as (connection, asked):
        assert read(connection) == 2
    assert asked[1] == "/2010-04-01/next?Page=1"


def test_the_scan_for_unsent_messages_has_no_filter() -> None:
    with answering((200, GOOD)) as (connection, asked):
        list(connection.pages(MESSAGES_UNSENT, WINDOW))
    assert asked == [f"/2010-04-01/Accounts/{SID}/Messages.json?PageSize=1000"]


def test_requests_in_flight_stay_within_the_limit() -> None:
    limit, inside, most = ConcurrencyLimit(3), [0], [0]
    lock, three = threading.Lock(), threading.Barrier(3, timeout=10)

    def work() -> None:
        with limit.slot():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            three.wait()  # three are inside together, or this breaks
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 3


def test_a_429_halves_the_limit_and_good_answers_raise_it_slowly() -> None:
    limit = ConcurrencyLimit(8)
    limit.lower()
    limit.lower()  # of the same moment: once
    assert limit.allowed == 4
    limit.raise_a_little()
    assert limit.allowed == 4
    for _ in range(100):
        limit.raise_a_little()
    assert limit.allowed == 8
