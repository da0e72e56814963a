"""Twilio's REST API over HTTP, for the resources the pipeline reads.

`/simulator/…` is ours: the clock, the faults and the request counters. All else answers as Twilio
does, errors included (twilio.com/docs/usage/twilios-response).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import calendar
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import groupby
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import spoiling, usage, wire
from simulator.faults import REFUSALS, Faults, Rule, as_json, rules_from
from simulator.view import Listing, View
from simulator.wire import API
from simulator.world import DAY, Account, World

MOST_RECORDS = 1000
USUAL_RECORDS = 50
RETENTION_DAYS = 400
# What an account answers that is no longer active: undocumented, of the codes that were met.
_OF_INACTIVE = {
    "suspended": (403, 20403, "Account is suspended"),
    "closed": (401, 10001, "Account is not active"),
}


Answer = Callable[[Request, Account], Response]


class RefusedError(Exception):
    """An error answer."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class Simulator:
    """The server's state: the world, the instant it is shown at, and what was asked.

    Attributes:
        latency: seconds that every answer of Twilio's takes longer.
        concurrency: requests of one account at the same time; more are refused with 429.
        faults: what goes wrong; None: nothing, until it is told.
        is_ending: whether the server stops, so that nothing may wait any longer.
    """

    world: World
    latency: float = 0.0
    concurrency: int | None = None
    faults: Faults = field(default_factory=Faults)
    is_ending: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.view = View(self.world, int(self.world.config.until.timestamp()))
        self.connections = spoiling.Connections()
        self.requests: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()  # whole and with status 200
        self.in_flight: Counter[str] = Counter()  # by account
        self.most_in_flight = 0

    def app(self) -> Starlette:
        """The ASGI application."""
        account = f"{API}/Accounts/{{sid}}"
        records = f"{account}/Usage/Records"
        routes = [
            Route(f"{API}/Accounts.json", self._twilio("accounts", self._accounts)),
            Route(f"{account}.json", self._twilio("account", self._account)),
            Route(f"{account}/Messages.json", self._twilio("messages", self._messages)),
            Route(f"{account}/Messages/{{message}}.json", self._twilio("message", self._message)),
            Route(f"{records}.json", self._twilio("usage", self._usage)),
            Route(f"{records}/{{period}}.json", self._twilio("usage", self._usage)),
            Route(f"{account}/Usage/Triggers.json", self._twilio("triggers", self._triggers)),
            Route("/simulator/clock", self._set_clock, methods=["PUT"]),
            Route("/simulator/faults", self._set_faults, methods=["PUT"]),
            Route("/simulator/faults", self._show_faults),
            Route("/simulator/requests", self._show_requests),
        ]
        return Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_allowed})

    # ---- ours

    async def _set_clock(self, request: Request) -> Response:
        """`PUT {"now": ISO}`: show the world as of another instant, UTC unless it says so."""
        now = datetime.fromisoformat((await request.json())["now"])
        if now.tzinfo is None:
            now = now.replace(tzinfo=UTC)
        self.view = await asyncio.to_thread(View, self.world, int(now.timestamp()), self.view)
        return JSONResponse({"now": now.isoformat()})

    async def _set_faults(self, request: Request) -> Response:
        """`PUT [{"kind": …}, …]`: what goes wrong from now on; an empty list: nothing more."""
        try:
            self.faults.set(rules_from(await request.json()))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        return await self._show_faults(request)

    async def _show_faults(self, request: Request) -> Response:
        """The rules in force, with the times left to each."""
        return JSONResponse(as_json(self.faults.rules))

    async def _show_requests(self, request: Request) -> Response:
        """How often what was asked for, answered, and went wrong.

        `messages` are all requests for pages of Messages.json, `message` those for one message;
        `messages_ok` those of them answered whole and with status 200. `fault_reset` are the
        resets, as each kind of fault; `most_in_flight` the most requests at the same time.
        """
        return JSONResponse(
            {
                **self.requests,
                **{f"{name}_ok": self.answered[name] for name in self.requests},
                **{f"fault_{kind}": count for kind, count in self.faults.happened.items()},
                "total": sum(self.requests.values()),
                "most_in_flight": self.most_in_flight,
            }
        )

    # ---- Twilio's

    def _twilio(self, name: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint: counted, slowed down, made to fail, authenticated, then answered."""

        async def endpoint(request: Request) -> Response:
            started = perf_counter()
            account_sid = request.path_params.get("sid", "")
            self.requests[name] += 1
            self.in_flight[account_sid] += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight.total())
            try:
                response = await self._answered(name, answer, request)
            except RefusedError as refused:
                response = _json(
                    wire.error(refused.status, refused.code, refused.message), refused.status
                )
            finally:
                concurrent = self.in_flight[account_sid]
                self.in_flight[account_sid] -= 1
            response.headers["Twilio-Concurrent-Requests"] = str(concurrent)
            response.headers["Twilio-Request-Id"] = f"RQ{self.requests.total():032x}"
            response.headers["Twilio-Request-Duration"] = f"{perf_counter() - started:.3f}"
            return response

        return endpoint

    async def _answered(self, name: str, answer: Answer, request: Request) -> Response:
        if self.concurrency and self.in_flight[request.path_params.get("sid", "")] > (
            self.concurrency
        ):
            raise RefusedError(429, 20429, "Too Many Requests")
        if self.latency:
            await asyncio.sleep(self.latency)
        account_sid = request.path_params.get("sid", "")
        path = request.url.path.removeprefix(API)
        rule = self.faults.next_for(path, request.url.query, account_sid)
        if rule is None:
            response = self._good(name, answer, request)
        else:
            response = self._faulty(rule, name, answer, request)
        is_whole = rule is None or rule.is_harmless
        self.answered[name] += is_whole and response.status_code == 200
        return response

    def _faulty(self, rule: Rule, name: str, answer: Answer, request: Request) -> Response:
        """What a rule makes of an answer."""
        if rule.kind in REFUSALS:
            status, code, text = rule.refusal
            response = _json(wire.error(status, code, text), status)
            if rule.retry_after is not None:
                response.headers["Retry-After"] = f"{rule.retry_after:g}"
            return response
        if rule.kind == "html_error":
            return spoiling.html_error()
        if rule.kind == "hang":
            return spoiling.hang(self.connections, self.is_ending)
        request.state.rule = rule  # for what a page does with it
        good = self._good(name, answer, request)
        if rule.kind == "truncated":
            return spoiling.truncated(good)
        if rule.kind == "empty":
            return spoiling.empty(good)
        if rule.kind == "reset":
            return spoiling.reset(good, self.connections)
        if rule.kind == "drip":
            return spoiling.drip(good, self.connections, rule.seconds, self.is_ending)
        return good

    def _good(self, name: str, answer: Answer, request: Request) -> Response:
        """The answer when all goes well."""
        caller, uses_key = self._authenticate(request)
        asked = self._reachable(request.path_params.get("sid", caller.sid), caller, uses_key)
        if uses_key and name == "accounts":
            # A Standard key may not use /Accounts (twilio.com/docs/iam/api-keys).
            raise RefusedError(401, 20003, "Authenticate")
        status = asked.status_at(self.view.now)
        if name not in ("accounts", "account") and status != "active":
            raise RefusedError(*_OF_INACTIVE[status])
        return answer(request, asked)

    def _authenticate(self, request: Request) -> tuple[Account, bool]:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = password = ""
        if scheme.lower() == "basic":
            if (user, password) == self.world.api_key:
                return self.world.main, True
            for account in self.world.accounts:
                if (user, password) == (account.sid, account.auth_token):
                    return account, False
        raise RefusedError(401, 20003, "Authenticate")

    def _reachable(self, sid: str, caller: Account, uses_key: bool) -> Account:
        for account in self.world.accounts:
            if (
                account.sid == sid
                and (account is caller or (caller is self.world.main and not uses_key))
                and account.exists(self.view.now)
            ):
                return account
        raise _missing(f"{API}/Accounts/{sid}")

    def _accounts(self, request: Request, caller: Account) -> Response:
        mine = [
            account
            for account in self.world.accounts
            if caller in (account, self.world.main) and account.exists(self.view.now)
        ]
        query = request.query_params
        if "FriendlyName" in query:
            mine = [account for account in mine if account.name == query["FriendlyName"]]
        if "Status" in query:
            wanted = query["Status"]
            mine = [one for one in mine if one.status_at(self.view.now) == wanted]
        contents = [wire.render(wire.account_record(one, self.view.now)) for one in mine]
        return self._counted_page(request, "accounts", contents)

    def _account(self, request: Request, account: Account) -> Response:
        return _json(wire.render(wire.account_record(account, self.view.now)))

    def _message(self, request: Request, account: Account) -> Response:
        sid = request.path_params["message"]
        message = self.view.find(account.sid, sid)
        if message is None or self.view.time_of(message) < self._oldest():
            raise _missing(request.url.path)
        return _json(wire.render(wire.message_record(self.world, message, self.view.now)))

    def _messages(self, request: Request, account: Account) -> Response:
        query = request.query_params
        first, last = _sent_between(query)
        oldest = self._oldest()
        if any(bound is not None and bound < oldest for bound in (first, last)):
            raise RefusedError(
                400,
                20004,
                "Date range specified in query is partially or entirely outside of retention "
                f"window of {RETENTION_DAYS} days",
            )
        is_filtered = first is not None or last is not None
        listing = self.view.messages(account.sid, only_sent=is_filtered)
        newest = self.view.now if last is None else last
        rule: Rule | None = getattr(request.state, "rule", None)
        token = query.get("PageToken")
        if rule and rule.kind == "shift" and token is None:
            newest = min(newest, self.view.now - int(rule.seconds))
        found: Sequence[int] = listing.between(oldest if first is None else first, newest)
        wanted = {name: query[name] for name in ("To", "From") if name in query}
        if wanted:
            records = listing.records(found)
            found = [i for i, one in zip(found, records, strict=True) if _matches(one, wanted)]
        number, size = _page_number(query), _page_size(query)
        start = self._start(listing, found, token, number, size, account)
        if rule and token is not None:
            if rule.kind == "shift":
                come = listing.between(self.view.now - int(rule.seconds) + 1, newest)
                repeated = bisect_left(found, come.stop) - bisect_left(found, come.start)
            else:
                repeated = rule.rows if rule.kind == "duplicates" else 0
            start = max(0, start - min(repeated, size - 1))  # or the reader would never get on
        shown = found[start : start + size]
        return _page(
            request, "messages", listing.records(shown), number, size,
            f"PB{listing.sid(shown[0])}" if shown and start > 0 else None,
            f"PA{listing.sid(shown[-1])}" if start + size < len(found) else None,
        )  # fmt: skip

    def _start(
        self, listing: Listing, found: Sequence[int], token: str | None, number: int, size: int,
        account: Account,
    ) -> int:  # fmt: skip
        """Where a page begins: after (PA) or before (PB) the message its token names."""
        if token is None:
            if number > 0:
                raise RefusedError(400, 20001, "PageToken is required for paging")
            return 0
        message = self.view.find(account.sid, token[2:])
        if message is None or token[:2] not in ("PA", "PB"):
            raise RefusedError(400, 21481, "Invalid PageToken")
        position = listing.position(self.view.time_of(message), message.sid)
        if token[:2] == "PB":
            return max(0, bisect_left(found, position) - size)
        stands_there = position < len(listing) and listing.sid(position) == message.sid
        return bisect_left(found, position + stands_there)

    def _oldest(self) -> int:
        """The first second Twilio still shows, epoch seconds: the start of a GMT day."""
        return (self.view.now // DAY - RETENTION_DAYS) * DAY

    def _usage(self, request: Request, account: Account) -> Response:
        query = request.query_params
        period = request.path_params.get("period", "")
        today = datetime.fromtimestamp(self.view.now, UTC).date()
        first, last = _usage_range(query, period, today, usage.first_day(self.world))
        if first > last:
            raise _missing(request.url.path)
        contents = self.view.usage_records(
            account.sid,
            with_subaccounts=query.get("IncludeSubaccounts", "true").lower() != "false",
            spans=_spans(period, first, last),
            resource=f"/{period}" if period else "",
            category=query.get("Category"),
        )
        return self._counted_page(request, "usage_records", contents)

    def _triggers(self, request: Request, account: Account) -> Response:
        uri = f"{API}/Accounts/{account.sid}/Usage"
        sid = "UT" + account.sid[2:]
        record = {
            "account_sid": account.sid,
            "api_version": "2010-04-01",
            "callback_method": "POST",
            "callback_url": "https://example.com/hook?secret=do-not-keep",
            "current_value": "12.5",
            "date_created": wire.rfc2822(account.created),
            "date_fired": None,
            "date_updated": wire.rfc2822(account.created),
            "friendly_name": "Monthly budget",
            "recurring": "monthly",
            "sid": sid,
            "trigger_by": "price",
            "trigger_value": "500",
            "uri": f"{uri}/Triggers/{sid}.json",
            "usage_category": "totalprice",
            "usage_record_uri": f"{uri}/Records.json?Category=totalprice",
        }
        return self._counted_page(request, "usage_triggers", [wire.render(record)])

    def _counted_page(self, request: Request, key: str, contents: list[bytes]) -> Response:
        """A page of a list whose token is its number, as usage's `APMQ==`."""
        size, number = _page_size(request.query_params), _page_number(request.query_params)
        token = request.query_params.get("PageToken")
        if number > 0 and token is None:
            raise RefusedError(400, 20001, "PageToken is required for paging")
        if token is not None and token != _numbered_token(number):
            raise RefusedError(400, 21481, "Invalid PageToken")
        page = contents[number * size : (number + 1) * size]
        has_more = len(contents) > (number + 1) * size
        return _page(
            request, key, page, number, size,
            _numbered_token(number - 1) if number else None,
            _numbered_token(number + 1) if has_more else None,
        )  # fmt: skip


def _numbered_token(number: int) -> str:
    return "AP" + base64.b64encode(str(number).encode()).decode()


def _page(
    request: Request, key: str, contents: Sequence[bytes], number: int, size: int,
    previous_token: str | None, next_token: str | None,
) -> Response:  # fmt: skip
    filters = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in ("Page", "PageToken", "PageSize")
    ]
    path = request.url.path

    def uri(page: int, token: str | None) -> str:
        paging = [("PageSize", str(size)), ("Page", str(page))]
        return f"{path}?" + urlencode(
            [*filters, *paging, *([("PageToken", token)] if token else [])]
        )

    start = number * size
    rest: dict[str, Any] = {
        "end": start + max(0, len(contents) - 1),
        "first_page_uri": uri(0, None),
        "next_page_uri": uri(number + 1, next_token) if next_token else None,
        "page": number,
        "page_size": size,
        "previous_page_uri": (
            uri(number - 1, previous_token) if number and previous_token else None
        ),
        "start": start,
        "uri": uri(number, request.query_params.get("PageToken")),
    }
    body = b'{"%s":[%s],%s' % (key.encode(), b",".join(contents), orjson.dumps(rest)[1:])
    return _json(body)


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json;charset=utf-8")


def _missing(path: str) -> RefusedError:
    return RefusedError(404, 20404, f"The requested resource {path} was not found")


async def _not_found(request: Request, error: Exception) -> Response:
    return _json(wire.error(404, 20404, _missing(request.url.path).message), 404)


async def _not_allowed(request: Request, error: Exception) -> Response:
    return _json(wire.error(405, 20004, "Method not allowed"), 405)


def _page_size(query: QueryParams) -> int:
    try:
        wanted = int(query.get("PageSize", USUAL_RECORDS))
    except ValueError:
        wanted = USUAL_RECORDS
    return min(max(1, wanted), MOST_RECORDS)


def _page_number(query: QueryParams) -> int:
    try:
        return max(0, int(query.get("Page", 0)))
    except ValueError:
        return 0


def _matches(content: bytes, wanted: dict[str, str]) -> bool:
    if not all(value.encode() in content for value in wanted.values()):
        return False  # seen without decoding it
    record = orjson.loads(content)
    return all(record[name.lower()] == value for name, value in wanted.items())


def _sent_between(query: QueryParams) -> tuple[int | None, int | None]:
    """The bounds of a DateSent filter, both inclusive: the parameter's name carries `<` or `>`.

    A date alone means its first second, as bound; as `DateSent` it means the whole GMT day.
    """
    first = last = None
    if "DateSent>" in query:
        first, _ = _instant("DateSent>", query["DateSent>"])
    if "DateSent<" in query:
        last, _ = _instant("DateSent<", query["DateSent<"])
    if "DateSent" in query:
        instant, is_date = _instant("DateSent", query["DateSent"])
        day = instant if is_date else instant - instant % 86_400
        first, last = day, day + 86_399
    return first, last


def _instant(name: str, text: str) -> tuple[int, bool]:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return calendar.timegm(date.fromisoformat(text).timetuple()), True
        except ValueError:
            raise RefusedError(400, 20001, f"Invalid {name.rstrip('<>')}") from None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            instant = parse(text)
        except ValueError:
            continue
        aware = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
        return int(aware.timestamp()), False
    raise RefusedError(400, 20001, f"Invalid {name.rstrip('<>')}")


def _usage_range(
    query: QueryParams, period: str, today: date, first_day: date
) -> tuple[date, date]:
    """The first and the last day of a usage list."""
    first_of_month = today.replace(day=1)
    fixed = {
        "Today": (today, today),
        "Yesterday": (today - timedelta(days=1), today - timedelta(days=1)),
        "ThisMonth": (first_of_month, today),
        "LastMonth": (
            (first_of_month - timedelta(days=1)).replace(day=1),
            first_of_month - timedelta(days=1),
        ),
    }
    if period in fixed:
        return fixed[period]
    if period not in ("", "Daily", "Monthly", "Yearly", "AllTime"):
        raise _missing(f"Usage/Records/{period}")
    first = _usage_date("StartDate", query.get("StartDate"), today, first_day)
    last = _usage_date("EndDate", query.get("EndDate"), today, today)
    return first, min(last, today)


def _usage_date(name: str, text: str | None, today: date, usual: date) -> date:
    if text is None:
        return usual
    offset = re.fullmatch(r"([+-]\d+)days?", text)
    if offset:
        return today + timedelta(days=int(offset[1]))
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError(400, 20001, f"Invalid {name}") from None


def _spans(period: str, first: date, last: date) -> list[tuple[date, date]]:
    """The stretches a usage list has a row a category for, newest first."""
    if period not in ("Daily", "Monthly", "Yearly"):
        return [(first, last)]
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    keys: dict[str, Callable[[date], Any]] = {
        "Daily": lambda day: day,
        "Monthly": lambda day: (day.year, day.month),
        "Yearly": lambda day: day.year,
    }
    spans = []
    for _, group in groupby(days, keys[period]):
        members = list(group)
        spans.append((members[0], members[-1]))
    return spans[::-1]
