"""Twilio's REST API over HTTP, for the resources the pipeline reads.

`/simulator/…` is ours: the clock and the request counters. All else answers as Twilio does,
errors included (twilio.com/docs/usage/twilios-response).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import calendar
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import usage, wire
from simulator.view import View
from simulator.wire import API
from simulator.world import Account, World

MOST_RECORDS = 1000
USUAL_RECORDS = 50
RETENTION_DAYS = 400


class RefusedError(Exception):
    """An error answer."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


# A fault rule sees each request before it is answered; what it returns is the answer.
Fault = Callable[[Request], Response | None]


@dataclass
class Simulator:
    """The server's state: the world, the instant it is shown at, and what was asked."""

    world: World
    latency: float = 0.0  # seconds
    faults: Sequence[Fault] = ()

    def __post_init__(self) -> None:
        self.view = View(self.world, int(self.world.config.until.timestamp()))
        self.requests: Counter[str] = Counter()
        self.in_flight = 0
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
            Route("/simulator/requests", self._show_requests),
        ]
        return Starlette(routes=routes, exception_handlers={404: _not_found})

    # ---- ours

    async def _set_clock(self, request: Request) -> Response:
        now = datetime.fromisoformat((await request.json())["now"])
        self.view = await asyncio.to_thread(View, self.world, int(now.timestamp()), self.view)
        return JSONResponse({"now": now.isoformat()})

    async def _show_requests(self, request: Request) -> Response:
        return JSONResponse(
            {
                **self.requests,
                "total": sum(self.requests.values()),
                "most_in_flight": self.most_in_flight,
            }
        )

    # ---- Twilio's

    def _twilio(self, name: str, answer: Callable[[Request, Account], Response]) -> Any:
        async def endpoint(request: Request) -> Response:
            self.requests[name] += 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            try:
                if self.latency:
                    await asyncio.sleep(self.latency)
                for fault in self.faults:
                    faulty = fault(request)
                    if faulty is not None:
                        return faulty
                caller, uses_key = self._authenticate(request)
                asked = self._reachable(
                    request.path_params.get("sid", caller.sid), caller, uses_key
                )
                if uses_key and name == "accounts":
                    # A Standard key may not use /Accounts (twilio.com/docs/iam/api-keys).
                    raise RefusedError(401, 20003, "Authenticate")
                return answer(request, asked)
            except RefusedError as refused:
                return _json(
                    wire.error(refused.status, refused.code, refused.message), refused.status
                )
            finally:
                self.in_flight -= 1

        return endpoint

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
            if account.sid == sid and (
                account is caller or (caller is self.world.main and not uses_key)
            ):
                return account
        raise RefusedError(404, 20404, f"The requested resource {API}/Accounts/{sid} was not found")

    def _accounts(self, request: Request, caller: Account) -> Response:
        mine = [
            account
            for account in self.world.accounts
            if caller in (account, self.world.main) and account.created <= self.view.now
        ]
        query = request.query_params
        if "FriendlyName" in query:
            mine = [account for account in mine if account.name == query["FriendlyName"]]
        if "Status" in query:
            mine = [account for account in mine if account.status == query["Status"]]
        contents = [wire.render(wire.account_record(account)) for account in mine]
        return self._counted_page(request, "accounts", contents)

    def _account(self, request: Request, account: Account) -> Response:
        return _json(wire.render(wire.account_record(account)))

    def _message(self, request: Request, account: Account) -> Response:
        content = self.view.message(account.sid, request.path_params["message"])
        if content is None:
            raise RefusedError(
                404, 20404, f"The requested resource {request.url.path} was not found"
            )
        return _json(content)

    def _messages(self, request: Request, account: Account) -> Response:
        query = request.query_params
        first, last = _sent_between(query)
        if first is not None:
            self._refuse_beyond_retention(first)
        account_view = self.view.account(account.sid)
        is_filtered = first is not None or last is not None
        listing = account_view.sent if is_filtered else account_view.all
        start, stop = listing.between(first, last)
        size = _page_size(query)
        number = _page_number(query)
        token = query.get("PageToken")
        begin = start
        if token is not None:
            position = listing.after(token.removeprefix("PA")) if token[:2] == "PA" else None
            if position is None:
                raise RefusedError(400, 21481, "Invalid PageToken")
            begin = max(start, position)
        elif number > 0:
            raise RefusedError(400, 20001, "PageToken is required for paging")
        contents, sids = listing.contents, listing.sids
        wanted = {name: value for name, value in query.items() if name in ("To", "From")}
        if wanted:
            positions = [
                i for i in range(begin, stop) if _matches(contents[i], wanted)
            ]  # fmt: skip
            shown, has_more = positions[:size], len(positions) > size
            page = [contents[i] for i in shown]
            last_sid = sids[shown[-1]] if shown else ""
        else:
            end = min(begin + size, stop)
            page, has_more = contents[begin:end], end < stop
            last_sid = sids[end - 1] if end > begin else ""
        return _page(request, "messages", page, number, size, f"PA{last_sid}" if has_more else None)

    def _refuse_beyond_retention(self, first: int) -> None:
        today = datetime.fromtimestamp(self.view.now, UTC).date()
        if datetime.fromtimestamp(first, UTC).date() < today - timedelta(days=RETENTION_DAYS):
            raise RefusedError(
                400,
                20004,
                "Date range specified in query is partially or entirely outside of retention "
                f"window of {RETENTION_DAYS} days",
            )

    def _usage(self, request: Request, account: Account) -> Response:
        query = request.query_params
        period = request.path_params.get("period", "")
        today = datetime.fromtimestamp(self.view.now, UTC).date()
        first, last = _usage_range(query, period, today)
        if first > last:
            raise RefusedError(
                404, 20404, f"The requested resource {request.url.path} was not found"
            )
        owners = [account]
        if query.get("IncludeSubaccounts", "true").lower() != "false" and (
            account is self.world.main
        ):
            owners = self.world.accounts
        spans = _spans(period, first, last)
        resource = f"/{period}" if period else ""
        contents = [
            wire.render(
                usage.record(account.sid, category, begin, end, entry, self.view.now, resource)
            )
            for begin, end in spans
            for category, entry in sorted(self._sum(owners, begin, end).items())
            if query.get("Category") in (None, category)
        ]
        return self._counted_page(request, "usage_records", contents)

    def _sum(self, owners: Sequence[Account], first: date, last: date) -> dict[str, usage.Amounts]:
        totals: dict[str, usage.Amounts] = {name: usage.Amounts() for name in usage.IDLE}
        day = first
        while day <= last:
            for owner in owners:
                entries = self.view.usage.get((self.world.accounts.index(owner), day), {})
                for category, entry in entries.items():
                    totals.setdefault(category, usage.Amounts()).add(
                        entry.count, entry.usage, entry.cost
                    )
            day += timedelta(days=1)
        totals.setdefault("totalprice", usage.Amounts())
        return totals

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
            request, key, page, number, size, _numbered_token(number + 1) if has_more else None
        )


def _numbered_token(number: int) -> str:
    return "AP" + base64.b64encode(str(number).encode()).decode()


def _page(
    request: Request, key: str, contents: Sequence[bytes], number: int, size: int,
    next_token: str | None,
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
        "previous_page_uri": uri(number - 1, f"PB{number}") if number else None,
        "start": start,
        "uri": uri(number, request.query_params.get("PageToken")),
    }
    body = b'{"%s":[%s],%s' % (key.encode(), b",".join(contents), orjson.dumps(rest)[1:])
    return _json(body)


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json;charset=utf-8")


async def _not_found(request: Request, error: Exception) -> Response:
    return _json(
        wire.error(404, 20404, f"The requested resource {request.url.path} was not found"), 404
    )


def _page_size(query: Any) -> int:
    try:
        wanted = int(query.get("PageSize", USUAL_RECORDS))
    except ValueError:
        wanted = USUAL_RECORDS
    return min(max(1, wanted), MOST_RECORDS)


def _page_number(query: Any) -> int:
    try:
        return max(0, int(query.get("Page", 0)))
    except ValueError:
        return 0


def _matches(content: bytes, wanted: dict[str, str]) -> bool:
    record = orjson.loads(content)
    return all(record[name.lower()] == value for name, value in wanted.items())


def _sent_between(query: Any) -> tuple[int | None, int | None]:
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


def _usage_range(query: Any, period: str, today: date) -> tuple[date, date]:
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
        raise RefusedError(404, 20404, f"The requested resource {period} was not found")
    first = _usage_date("StartDate", query.get("StartDate"), today, today - timedelta(days=365))
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
