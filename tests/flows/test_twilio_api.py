"""Asking Twilio: what is tried again, what is not, and how many at once."""

from __future__ import annotations

import gzip
import json
import secrets
import ssl
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import tenacity
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flows import twilio_api
from flows.datasets import MESSAGES_SENT, MESSAGES_UNSENT
from flows.errors import TwilioError, WrongUseError
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
def serving(
    handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """A server for a while; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *args: Any) -> None: ...


class Lasting(Quiet):
    """Keeps connections open."""

    protocol_version = "HTTP/1.1"


def connected_to(port: int, **options: Any) -> Connection:
    settings = Settings(
        account_sid=SID, auth_token="the-secret-token", api_base_url=f"http://127.0.0.1:{port}"
    )
    return Connection(settings, **options)


@contextmanager
def answering(*answers: Answer) -> Iterator[tuple[Connection, list[str]]]:
    """A connection to a server that gives these answers in turn, and what it was asked.

    None: the connection is cut in mid-answer.
    """
    left, asked = list(answers), []

    class Handler(Lasting):
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

    with serving(Handler) as port:
        yield connected_to(port), asked


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


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str | None]]]:
    """A proxy that the environment names, and what it was asked for, by whom."""
    asked: list[tuple[str, str | None]] = []

    class Proxy(Quiet):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Proxy-Authorization")))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(GOOD.encode())

    with serving(Proxy) as port:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://me:secret@127.0.0.1:{port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield asked


def test_the_proxy_of_the_environment_is_used(proxied: list[tuple[str, str | None]]) -> None:
    elsewhere = Settings(
        account_sid=SID, auth_token="the-secret-token", api_base_url="http://twilio.invalid"
    )
    assert read(Connection(elsewhere)) == 1
    ((address, credentials),) = proxied
    assert address.startswith(f"http://twilio.invalid/2010-04-01/Accounts/{SID}/Messages.json?")
    assert credentials == "Basic " + b64encode(b"me:secret").decode()


def test_a_server_that_is_exempt_is_asked_without_the_proxy(
    proxied: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with answering((200, GOOD)) as (connection, asked):
        assert read(connection) == 1
    assert (len(asked), proxied) == (1, [])


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://me:secret@127.0.0.1:1080",
        "http://me:sec#ret@127.0.0.1:1080",
        "http://me:secret@127.0.0.1:port",
        "http://me:sec/ret@127.0.0.1:1080",
        "http://[::1:8080",
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_in_words(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WrongUseError, match="The proxy that the environment names") as refused:
        Connection(Settings(account_sid=SID, auth_token="t", api_base_url="http://twilio.invalid"))
    assert "sec" not in str(refused.value)
    # What it came from has a part of the password: a traceback must not show it.
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_a_proxy_is_checked_with_the_certificates_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Proxy(Quiet):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(403)

    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(Proxy, context) as port:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"https://127.0.0.1:{port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        settings = Settings(account_sid=SID, auth_token="t")
        with pytest.raises(TwilioError, match="gave no answer"):
            read(Connection(settings, attempts=1))
    assert asked == ["api.twilio.com:443"]


def test_an_answer_that_is_elsewhere_is_none() -> None:
    moved = (307, GOOD, {"Location": "http://127.0.0.1:1/"})
    with answering(moved) as (connection, _), pytest.raises(TwilioError, match="answered 307"):
        read(connection)


def test_certificates_are_checked_with_those_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)

    class Twilio(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(GOOD.encode())

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(Twilio, context) as port:
        settings = Settings(
            account_sid=SID, auth_token="t", api_base_url=f"https://127.0.0.1:{port}"
        )
        with pytest.raises(TwilioError, match=r"gave no answer \(SSLError\)"):
            read(Connection(settings, attempts=1))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert read(Connection(settings, attempts=1)) == 1
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
        with pytest.raises(WrongUseError, match=r"none\.pem.*No such file"):
            Connection(settings)


def test_an_answer_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_api, "ANSWER_TIMEOUT", -1.0)
    monkeypatch.setattr(twilio_api, "ATTEMPTS", 1)
    with (
        answering((200, GOOD), (200, GOOD)) as (connection, _),
        pytest.raises(TwilioError, match="took too long"),
    ):
        connection.account()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [(None, b"{" * 1000), ("gzip", b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"a name without end" * 55)],
)
def test_an_answer_that_comes_drop_by_drop_is_given_up(
    encoding: str | None, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_api, "ANSWER_TIMEOUT", 0.2)
    drops, pause = [], threading.Event()

    class Dripping(Lasting):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            if encoding:
                self.send_header("Content-Encoding", encoding)
            self.end_headers()
            with suppress(OSError):
                while len(drops) < len(body) and not pause.wait(0.02):
                    drops.append(self.wfile.write(body[len(drops) :][:1]))

    with serving(Dripping) as port, pytest.raises(TwilioError, match="took too long"):
        read(connected_to(port, attempts=1))
    assert 0 < len(drops) < 500
    pause.set()


@pytest.mark.parametrize("in_chunks", [False, True])
@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
def test_an_answer_may_come_as_http_lets_it(in_chunks: bool, encoding: str | None) -> None:
    # Half of it cannot be made smaller: what is sent is several pieces too.
    records = [{"sid": f"SM{i}", "body": secrets.token_hex(512)} for i in range(1000)]
    plain = json.dumps({"messages": records, "next_page_uri": None}).encode()
    content = {None: bytes, "gzip": gzip.compress, "deflate": zlib.compress}[encoding](plain)

    class Twilio(Lasting):
        def do_GET(self) -> None:
            self.send_response(200)
            if encoding:
                self.send_header("Content-Encoding", encoding)
            if not in_chunks:
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(content), 50_000):
                chunk = content[start : start + 50_000]
                self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")

    with serving(Twilio) as port:
        connection = connected_to(port)
        # The second is asked for on the same connection: nothing of the first was left on it.
        for _ in range(2):
            (page,) = connection.pages(MESSAGES_SENT, WINDOW)
            assert page.records["sid"].to_pylist() == [record["sid"] for record in records]
            assert page.records["body"].to_pylist() == [record["body"] for record in records]


def self_signed(folder: Path) -> Path:
    """A key and its certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
