"""Twilio's REST API over HTTP, for the resources the pipeline reads.

`/simulator/…` is ours: the clock, the faults and the request counters. All else answers as Twilio
does, errors included (twilio.com/docs/usage/twilios-response).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import resources, spoiling, wire
from simulator.access import account_asked_for
from simulator.answers import RefusedError, json_answer, missing
from simulator.faults import REFUSALS, Faults, Rule, as_json, rules_from
from simulator.view import View
from simulator.wire import API
from simulator.world import Account, World

Answer = Callable[[View, Request, Account], Response]


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
        self.clock = asyncio.Lock()  # one move after the other
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
            Route(f"{API}/Accounts.json", self._twilio("accounts", resources.list_accounts)),
            Route(f"{account}.json", self._twilio("account", resources.show_account)),
            Route(f"{account}/Messages.json", self._twilio("messages", resources.list_messages)),
            Route(
                f"{account}/Messages/{{message}}.json",
                self._twilio("message", resources.show_message),
            ),
            Route(f"{records}.json", self._twilio("usage", resources.list_usage)),
            Route(f"{records}/{{period}}.json", self._twilio("usage", resources.list_usage)),
            Route(
                f"{account}/Usage/Triggers.json", self._twilio("triggers", resources.list_triggers)
            ),
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
        async with self.clock:
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
                response = json_answer(
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
            response = json_answer(wire.error(status, code, text), status)
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
        account = account_asked_for(self.view, name, request)
        return answer(self.view, request, account)


async def _not_found(request: Request, error: Exception) -> Response:
    return json_answer(wire.error(404, 20404, missing(request.url.path).message), 404)


async def _not_allowed(request: Request, error: Exception) -> Response:
    return json_answer(wire.error(405, 20004, "Method not allowed"), 405)
