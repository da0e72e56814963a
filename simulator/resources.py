"""The resources the pipeline reads, each answered for an account as the world is at an instant."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from starlette.requests import Request
from starlette.responses import Response

from simulator import wire
from simulator.answers import (
    RefusedError,
    counted_page,
    json_answer,
    missing,
    page_number,
    page_of,
    page_size,
)
from simulator.faults import Rule
from simulator.filters import sent_between, spans, usage_range
from simulator.usage import first_day
from simulator.view import Listing, View
from simulator.wire import API
from simulator.world import DAY, Account

RETENTION_DAYS = 400


def list_accounts(view: View, request: Request, caller: Account) -> Response:
    """The account and, of the main account, its sub-accounts."""
    mine = [
        account
        for account in view.world.accounts
        if caller in (account, view.world.main) and account.exists(view.now)
    ]
    query = request.query_params
    if "FriendlyName" in query:
        mine = [account for account in mine if account.name == query["FriendlyName"]]
    if "Status" in query:
        wanted = query["Status"]
        mine = [one for one in mine if one.status_at(view.now) == wanted]
    contents = [wire.render(wire.account_record(one, view.now)) for one in mine]
    return counted_page(request, "accounts", contents)


def show_account(view: View, request: Request, account: Account) -> Response:
    """One account."""
    return json_answer(wire.render(wire.account_record(account, view.now)))


def show_message(view: View, request: Request, account: Account) -> Response:
    """One message, as long as Twilio keeps it."""
    sid = request.path_params["message"]
    message = view.find(account.sid, sid)
    if message is None or view.time_of(message) < _oldest(view):
        raise missing(request.url.path)
    return json_answer(wire.render(wire.message_record(view.world, message, view.now)))


def list_messages(view: View, request: Request, account: Account) -> Response:
    """Messages of an account, newest first, page by page."""
    query = request.query_params
    first, last = sent_between(query)
    oldest = _oldest(view)
    if any(bound is not None and bound < oldest for bound in (first, last)):
        raise RefusedError(
            400,
            20004,
            "Date range specified in query is partially or entirely outside of retention "
            f"window of {RETENTION_DAYS} days",
        )
    is_filtered = first is not None or last is not None
    listing = view.messages(account.sid, only_sent=is_filtered)
    newest = view.now if last is None else last
    rule: Rule | None = getattr(request.state, "rule", None)
    token = query.get("PageToken")
    if rule and rule.kind == "shift" and token is None:
        newest = min(newest, view.now - int(rule.seconds))
    found: Sequence[int] = listing.between(oldest if first is None else first, newest)
    wanted = {name: query[name] for name in ("To", "From") if name in query}
    if wanted:
        records = listing.records(found)
        found = [i for i, one in zip(found, records, strict=True) if _matches(one, wanted)]
    number, size = page_number(query), page_size(query)
    start = _start(view, listing, found, token, number, size, account)
    if rule and token is not None:
        if rule.kind == "shift":
            come = listing.between(view.now - int(rule.seconds) + 1, newest)
            repeated = bisect_left(found, come.stop) - bisect_left(found, come.start)
        else:
            repeated = rule.rows if rule.kind == "duplicates" else 0
        start = max(0, start - min(repeated, size - 1))  # or the reader would never get on
    shown = found[start : start + size]
    return page_of(
        request, "messages", listing.records(shown), number, size,
        f"PB{listing.sid(shown[0])}" if shown and start > 0 else None,
        f"PA{listing.sid(shown[-1])}" if start + size < len(found) else None,
    )  # fmt: skip


def _start(
    view: View, listing: Listing, found: Sequence[int], token: str | None, number: int, size: int,
    account: Account,
) -> int:  # fmt: skip
    """Where a page begins: after (PA) or before (PB) the message its token names."""
    if token is None:
        if number > 0:
            raise RefusedError(400, 20001, "PageToken is required for paging")
        return 0
    message = view.find(account.sid, token[2:])
    if message is None or token[:2] not in ("PA", "PB"):
        raise RefusedError(400, 21481, "Invalid PageToken")
    position = listing.position(view.time_of(message), message.sid)
    if token[:2] == "PB":
        return max(0, bisect_left(found, position) - size)
    stands_there = position < len(listing) and listing.sid(position) == message.sid
    return bisect_left(found, position + stands_there)


def _oldest(view: View) -> int:
    """The first second Twilio still shows, epoch seconds: the start of a GMT day."""
    return (view.now // DAY - RETENTION_DAYS) * DAY


def list_usage(view: View, request: Request, account: Account) -> Response:
    """Usage records, of a category or all, summed as the path says."""
    query = request.query_params
    period = request.path_params.get("period", "")
    today = datetime.fromtimestamp(view.now, UTC).date()
    first, last = usage_range(query, period, today, first_day(view.world))
    if first > last:
        raise missing(request.url.path)
    contents = view.usage_records(
        account.sid,
        with_subaccounts=query.get("IncludeSubaccounts", "true").lower() != "false",
        spans=spans(period, first, last),
        resource=f"/{period}" if period else "",
        category=query.get("Category"),
    )
    return counted_page(request, "usage_records", contents)


def list_triggers(view: View, request: Request, account: Account) -> Response:
    """The one usage trigger every account has."""
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
    return counted_page(request, "usage_triggers", [wire.render(record)])


def _matches(content: bytes, wanted: dict[str, str]) -> bool:
    if not all(value.encode() in content for value in wanted.values()):
        return False  # seen without decoding it
    record = orjson.loads(content)
    return all(record[name.lower()] == value for name, value in wanted.items())
