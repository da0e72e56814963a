"""Records as Twilio writes them (twilio.com/docs/messaging/api/message-resource and others)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from simulator.world import MICRO, Account, Message, World

API = "/2010-04-01"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=4_000)
def _date_part(day: int) -> str:
    date = datetime.fromtimestamp(day * 86_400, UTC)
    return f"{_DAYS[date.weekday()]}, {date.day:02d} {_MONTHS[date.month - 1]} {date.year}"


def rfc2822(instant: int | None) -> str | None:
    """`Fri, 24 May 2019 17:44:46 +0000`, as all of v2010 but usage."""
    if instant is None:
        return None
    day, second = divmod(instant, 86_400)
    return f"{_date_part(day)} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d} +0000"


def amount(millionths: int, least_decimals: int = 0) -> str:
    """An amount without superfluous zeros, with at least so many decimals: `-0.00750`."""
    sign, value = ("-", -millionths) if millionths < 0 else ("", millionths)
    whole, rest = divmod(value, MICRO)
    decimals = f"{rest:06d}".rstrip("0").ljust(least_decimals, "0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def message_record(world: World, message: Message, now: int) -> dict[str, Any]:
    """A message as it is listed at an instant."""
    state = message.state_at(now)
    account_sid = world.accounts[message.account].sid
    uri = f"{API}/Accounts/{account_sid}/Messages/{message.sid}"
    record: dict[str, Any] = {
        "account_sid": account_sid,
        "api_version": "2010-04-01",
        "body": state.body,
        "date_created": rfc2822(message.created),
        "date_sent": rfc2822(state.sent),
        "date_updated": rfc2822(state.updated),
        "direction": message.direction,
        "error_code": state.error_code,
        "error_message": world.error_text(state.error_code),
        "from": state.sender,
        "messaging_service_sid": message.service_sid,
        "num_media": str(message.media_count),
        "num_segments": str(state.segment_count),
        "price": None if state.price is None else amount(state.price, 5),
        "price_unit": state.currency,
        "sid": message.sid,
        "status": state.status,
        "subresource_uris": {"media": f"{uri}/Media.json", "feedback": f"{uri}/Feedback.json"},
        "to": message.recipient,
        "uri": f"{uri}.json",
    }
    if message.tags:
        record["tags"] = {"campaign": "otoño"}  # a field no documentation has
    if message.extra:
        name, value = message.extra
        record[name] = value
    return record


def render(record: dict[str, Any]) -> bytes:
    """A record as JSON bytes, of just their size: orjson's own keep their far larger buffer."""
    return bytes(memoryview(orjson.dumps(record)))


def account_record(account: Account, now: int) -> dict[str, Any]:
    """An account at an instant, with the secret that Twilio puts into it."""
    uri = f"{API}/Accounts/{account.sid}"
    parts = {
        "available_phone_numbers": "AvailablePhoneNumbers",
        "calls": "Calls",
        "messages": "Messages",
        "usage": "Usage",
    }
    return {
        "auth_token": account.auth_token,
        "date_created": rfc2822(account.created),
        "date_updated": rfc2822(
            account.ended if account.status_at(now) != "active" else account.created
        ),
        "friendly_name": account.name,
        "owner_account_sid": account.owner_sid,
        "sid": account.sid,
        "status": account.status_at(now),
        "subresource_uris": {name: f"{uri}/{path}.json" for name, path in parts.items()},
        "type": "Full",
        "uri": f"{uri}.json",
    }


def error(status: int, code: int, message: str) -> bytes:
    """An error body (twilio.com/docs/usage/twilios-response)."""
    return orjson.dumps(
        {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }
    )
