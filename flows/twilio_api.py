"""One connection to Twilio: the official client, with time-outs, back-off and a base URL.

The client (twilio-python) gives authentication, regions and edges. Its own HTTP client has no
time-out, does not retry a 429 and keeps every answer as text, so `_HttpClient` sends in its place.
"""

from __future__ import annotations

import io
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pyarrow as pa
import requests
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential_jitter
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from flows.cores import on_a_core
from flows.datasets import PAGE_SIZE, Dataset
from flows.errors import TwilioError, WrongUseError
from flows.settings import Settings
from transforms.messages import MESSAGE_RECORD
from transforms.records import Page, decode_page, decode_records, load_json
from transforms.windows import Window

ATTEMPTS = 6
CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds between two bytes
ANSWER_TIMEOUT = 180.0  # seconds for an answer with all of its body
_PIECE = 1 << 18  # bytes, at most
_PAUSE = wait_exponential_jitter(initial=0.5, max=30, jitter=0.5)


class _Unavailable(TwilioError):
    """An answer that may be another one soon: 429, 5xx, no answer, a broken answer."""

    retry_after: float | None = None


class _HttpClient(HttpClient):  # type: ignore[misc]
    """Sends requests, gives back bytes. Logs nothing: answers hold message bodies.

    urllib3 alone, as requests adds half as much again to the time of a page. What requests knows of
    proxies and certificates in the environment is asked once.
    """

    def __init__(self, base_url: str) -> None:
        super().__init__(None, False, None)
        self._base_url = base_url.rstrip("/")
        self._pool = _pool_for(base_url or "https://api.twilio.com")

    def request(
        self, method: str, url: str, params: Any = None, data: Any = None, headers: Any = None,
        auth: Any = None, timeout: float | None = None, allow_redirects: bool = False,
    ) -> Response:  # fmt: skip
        if self._base_url:
            parts = urlsplit(url)
            url = f"{self._base_url}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        allowed = urllib3.make_headers(accept_encoding=True, basic_auth=":".join(auth or ()))
        deadline = time.monotonic() + ANSWER_TIMEOUT
        with self._pool.request(
            method, url, fields=params, headers={**(headers or {}), **allowed},
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
            redirect=allow_redirects, retries=False, preload_content=False,
        ) as answer:  # fmt: skip
            content = _decoded(b"".join(_pieces(answer, deadline)), answer)
            return Response(answer.status, content, answer.headers)


def _pieces(answer: urllib3.BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
    """The answer's body as it arrives, still encoded; one that never ends is given up at its
    deadline, as long as anything of it comes.

    Raises:
        urllib3.exceptions.HTTPError: it broke off, or took longer than until the deadline.
    """
    while piece := answer.read1(_PIECE, decode_content=False):
        yield piece
        if time.monotonic() > deadline:
            raise urllib3.exceptions.TimeoutError(f"the answer took over {ANSWER_TIMEOUT:.0f} s")


def _decoded(content: bytes, answer: urllib3.BaseHTTPResponse) -> bytes:
    """The body without the encoding that the answer names.

    Raises:
        urllib3.exceptions.HTTPError: it is not encoded so.
    """
    if "content-encoding" not in answer.headers:
        return content
    return urllib3.HTTPResponse(io.BytesIO(content), answer.headers).data


def _pool_for(url: str) -> urllib3.PoolManager:
    """Connections to a server, by the proxy and with the certificates that the environment names.

    Raises:
        WrongUseError: the one is no proxy of HTTP, or the others cannot be read.
    """
    found = requests.Session().merge_environment_settings(url, {}, None, None, None)
    options: dict[str, Any] = {"num_pools": 4, "maxsize": 1000}
    # Without TLS no certificate is looked at: one that cannot be read does not matter then.
    if url.startswith("https:"):
        options["ssl_context"] = _trusting(found["verify"])
    proxy = requests.utils.select_proxy(url, found["proxies"])
    if not proxy:
        return urllib3.PoolManager(**options)
    try:
        proxy = requests.utils.prepend_scheme_if_needed(proxy, "http")
        if proxy.startswith("https:"):
            options["proxy_ssl_context"] = _trusting(found["verify"])
        user, password = requests.utils.get_auth_from_url(proxy)
        headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}" if user else None)
        return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
    except (urllib3.exceptions.HTTPError, ValueError):
        # The error's own text has parts of the address, and so of a password.
        raise WrongUseError(
            "The proxy that the environment names (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY) cannot be "
            "used: write http:// or https://, host and port, and signs in a password as %XX."
        ) from None


def _trusting(named: str | bool | None) -> ssl.SSLContext:
    """What checks certificates, read once for all connections."""
    bundle = Path(named if isinstance(named, str) else requests.utils.DEFAULT_CA_BUNDLE_PATH)
    try:
        if bundle.is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise WrongUseError(
            f"No certificates can be read from {bundle} (REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE may "
            f"name another file): {error.strerror or error}."
        ) from error


class ConcurrencyLimit:
    """How many requests of one account may be in flight: Twilio limits these, not a rate.

    A 429 halves the limit, each good answer raises it a little, never above the setting
    (twilio.com/docs/usage/twilios-response, error 20429).
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._limit = float(most)
        self._in_flight = 0
        self._condition = threading.Condition()
        self._lowered_at = 0.0

    @property
    def allowed(self) -> int:
        """How many requests may be in flight now."""
        return max(1, int(self._limit))

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a place among the requests in flight, and hold it."""
        with self._condition:
            self._condition.wait_for(lambda: self._in_flight < self.allowed)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._condition:
                self._in_flight -= 1
                self._condition.notify_all()

    def lower(self) -> None:
        """Twilio said too many; answers to requests sent together count once."""
        with self._condition:
            if time.monotonic() - self._lowered_at > 1.0:
                self._limit = max(1.0, self._limit / 2)
                self._lowered_at = time.monotonic()

    def raise_a_little(self) -> None:
        """An answer came well."""
        with self._condition:
            self._limit = min(self._most, self._limit + 1 / self._limit)
            self._condition.notify_all()


class Connection:
    """Asks Twilio. Safe to use from many threads."""

    def __init__(self, settings: Settings, attempts: int = ATTEMPTS) -> None:
        settings.require_credentials()
        token = settings.auth_token.get_secret_value()
        self.account_sid = settings.account_sid
        self.uses_api_key = not token
        user, password = (
            (settings.api_key, settings.api_secret.get_secret_value())
            if self.uses_api_key
            else (settings.account_sid, token)
        )
        self.host = settings.api_base_url or "https://api.twilio.com"
        self._client = Client(
            user,
            password,
            account_sid=settings.account_sid,
            region=settings.region,
            edge=settings.edge,
            # Twilio's client would otherwise look into the environment itself.
            environment={},
            http_client=_HttpClient(settings.api_base_url),
        )
        self._attempts = attempts
        self._concurrency = settings.concurrency
        self._limits: dict[str, ConcurrencyLimit] = {}
        self._lock = threading.Lock()
        self.request_count = 0

    def pages(self, dataset: Dataset, window: Window, page_size: str = PAGE_SIZE) -> Iterator[Page]:
        """The window's pages, decoded, in Twilio's order; each is asked for when it is wanted.

        Raises:
            TwilioError: a page could not be had; `outcome` says why.
        """
        account_sid = window.account_sid
        path = "Accounts.json" if dataset.name == "accounts" else (
            f"Accounts/{account_sid}/{dataset.resource}"
        )  # fmt: skip
        uri: str | None = f"/2010-04-01/{path}"
        parameters: dict[str, str] | None = {**dataset.parameters(window), "PageSize": page_size}
        while uri:
            page = self._page(account_sid, uri, parameters, dataset)
            yield page
            # The next page's address holds the whole query already.
            uri, parameters = page.next_page_uri, None

    def may_read(self, dataset: Dataset, account_sid: str, now: datetime) -> bool:
        """Whether the credentials get an answer from a list at all.

        Raises:
            TwilioError: something else is wrong.
        """
        window = Window(dataset.name, account_sid, now - timedelta(hours=1), now)
        try:
            next(self.pages(dataset, window, page_size="1"))
        except TwilioError as error:
            if error.status in (401, 403):
                return False
            raise
        return True

    def account(self) -> dict[str, Any]:
        """The main account's own record, without its token."""
        content = self._ask(self.account_sid, f"/2010-04-01/Accounts/{self.account_sid}.json", None)
        record: dict[str, Any] = orjson.loads(content)
        record.pop("auth_token", None)
        return record

    def message(self, account_sid: str, message_sid: str) -> pa.Table:
        """One message by its SID, decoded.

        Raises:
            TwilioError: it could not be had; `outcome` is not_found if Twilio knows it no more.
        """
        uri = f"/2010-04-01/Accounts/{account_sid}/Messages/{message_sid}.json"

        def ask() -> pa.Table:
            content = self._ask_once(account_sid, uri, None)
            try:
                record = load_json(content)
            except ValueError as error:
                raise _Unavailable("Twilio's answer was broken: it is not JSON.") from error
            return decode_records([record], MESSAGE_RECORD)

        records: pa.Table = self._retrying()(ask)
        return records

    def _page(
        self, account_sid: str, uri: str, parameters: dict[str, str] | None, dataset: Dataset
    ) -> Page:
        def ask() -> Page:
            content = self._ask_once(account_sid, uri, parameters)
            try:
                return on_a_core(decode_page, content, dataset.shape)
            except ValueError as error:
                raise _Unavailable(f"Twilio's answer was broken: {error}") from error

        page: Page = self._retrying()(ask)
        return page

    def _ask(self, account_sid: str, uri: str, parameters: dict[str, str] | None) -> bytes:
        content: bytes = self._retrying()(self._ask_once, account_sid, uri, parameters)
        return content

    def _retrying(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception(_may_succeed_later),
            stop=stop_after_attempt(self._attempts),
            wait=_pause,
            reraise=True,
        )

    def _ask_once(self, account_sid: str, uri: str, parameters: dict[str, str] | None) -> bytes:
        limit = self._limit_of(account_sid)
        with limit.slot():
            self.request_count += 1
            try:
                answer = self._client.request(
                    "GET", f"https://api.twilio.com{uri}", params=parameters
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise _Unavailable(_no_answer(self.host, error)) from error
        if answer.status_code == 429:
            limit.lower()
        elif answer.status_code < 300:
            limit.raise_a_little()
            content: bytes = answer.content
            return content
        raise _refusal(answer, account_sid)

    def _limit_of(self, account_sid: str) -> ConcurrencyLimit:
        with self._lock:
            if account_sid not in self._limits:
                self._limits[account_sid] = ConcurrencyLimit(self._concurrency)
            return self._limits[account_sid]


def last_instant(page: Page, fields: tuple[str, ...]) -> datetime | None:
    """The instant of a page's last record: the first of these fields that it has."""
    if not page.records.num_rows:
        return None
    for field in fields:
        text = page.records[field][-1].as_py()
        if text:
            try:
                instant = parsedate_to_datetime(text)
            except ValueError:
                continue
            return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return None


def _may_succeed_later(error: BaseException) -> bool:
    if isinstance(error, _Unavailable):
        return True
    # Twilio's edge refuses good credentials now and then (airbyte source-twilio 0.17.5).
    return isinstance(error, TwilioError) and error.status == 401


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, TwilioError) and error.status == 401 and state.attempt_number >= 2:
        raise error  # twice is enough: the credentials are wrong
    asked = getattr(error, "retry_after", None)
    return float(_PAUSE(state)) if asked is None else min(float(asked), 120.0)


def _refusal(answer: Response, account_sid: str) -> TwilioError:
    """What an error answer means (twilio.com/docs/usage/twilios-response)."""
    status = answer.status_code
    code, message = _code_and_message(answer.content)
    said = f"Twilio answered {status}" + (f" ({code}: {message})" if code or message else "")
    if status == 429 or status >= 500:
        error = _Unavailable(f"{said}, however often it was asked.", "failed", status, code)
        error.retry_after = _seconds((answer.headers or {}).get("Retry-After"))
        return error
    if (code in (10001, 20403) and "active" in message) or "suspended" in message.lower():
        return TwilioError(
            f"{said}. Account {account_sid} is suspended or closed: Twilio refuses its data until "
            "it is active again.",
            "denied",
            status,
            code,
        )
    if status in (401, 403):
        return TwilioError(
            f"{said}. The credentials are wrong or may not read account {account_sid}: check "
            "TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN, or the API key's permissions.",
            "denied",
            status,
            code,
        )
    if status == 404:
        return TwilioError(
            f"{said}. There is nothing at this address for account {account_sid}.",
            "not_found",
            status,
            code,
        )
    # The dictionary lists 20004 as another error: code and text decide together
    # (github.com/airbytehq/airbyte/issues/10418).
    if status == 400 and code == 20004 and "retention" in message.lower():
        return TwilioError(
            f"{said}. Twilio keeps messages for 400 days, or fewer if the account says so.",
            "retention",
            status,
            code,
        )
    return TwilioError(f"{said}.", "failed", status, code)


def _code_and_message(content: Any) -> tuple[int | None, str]:
    try:
        body = orjson.loads(content)
        code = body.get("code")
        return (code if isinstance(code, int) else None), str(body.get("message") or "")[:300]
    except (orjson.JSONDecodeError, AttributeError):
        return None, ""


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None


def _no_answer(host: str, error: Exception) -> str:
    # The text of an error may hold the whole address; its kind is enough.
    # A connection that was refused is a time-out to urllib3.
    is_late = isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(
        error, urllib3.exceptions.NewConnectionError
    )
    kind = "took too long" if is_late else "gave no answer"
    return f"{host} {kind} ({type(error).__name__}). Check the network and TWILIO_API_BASE_URL."
