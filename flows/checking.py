"""Does Twilio answer, and if not, why and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from flows.datasets import ACCOUNT_LIST, MESSAGES_SENT, MESSAGES_UNSENT, TRIGGERS, USAGE, Dataset
from flows.errors import TwilioError
from flows.settings import Settings
from flows.twilio_api import Connection
from transforms.addresses import protect
from transforms.windows import Window, midnight

_LAST_MESSAGES = 5
_ATTEMPTS = 3


@dataclass(frozen=True)
class Step:
    """One thing that was tried."""

    name: str
    is_good: bool
    detail: str


@dataclass
class Check:
    """What was tried, and the last messages, numbers masked and without bodies."""

    steps: list[Step] = field(default_factory=list)
    last_messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether a run would work."""
        return all(step.is_good for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "is_good": self.is_good,
            "steps": [vars(step) for step in self.steps],
            "last_messages": self.last_messages,
        }


def check_twilio(settings: Settings) -> Check:
    """Try the host, the credentials and each endpoint once."""
    check = Check()
    connection = Connection(settings, attempts=_ATTEMPTS)
    now = datetime.now(UTC)
    sid = settings.account_sid
    today = Window("", sid, midnight(now.date()), now)
    yesterday = Window("", sid, midnight(now.date() - timedelta(days=1)), midnight(now.date()))

    account = _try(
        check, f"account {sid} at {connection.host}", lambda: _describe(connection.account())
    )
    if account is None and not connection.uses_api_key:
        return check  # nothing else can work; a key may lack just this permission
    if connection.uses_api_key:
        check.steps.append(Step("sub-accounts", True, "an API key reaches one account alone"))
    else:
        _try(check, "sub-accounts", lambda: _count(connection, ACCOUNT_LIST, today, "account"))
    _try(check, "messages of today", lambda: _count(connection, MESSAGES_SENT, today, "message"))
    _try(check, "usage of yesterday", lambda: _count_usage(connection, yesterday))
    _try(check, "usage triggers", lambda: _count(connection, TRIGGERS, today, "trigger"))
    _try(check, "last messages", lambda: _read_last(connection, check, today))
    return check


def _try(check: Check, name: str, attempt: Callable[[], str]) -> str | None:
    try:
        detail = attempt()
    except TwilioError as error:
        check.steps.append(Step(name, False, str(error)))
        return None
    check.steps.append(Step(name, True, detail))
    return detail


def _describe(record: dict[str, Any]) -> str:
    return f"{record.get('friendly_name')}, {record.get('type')}, {record.get('status')}"


def _count(connection: Connection, dataset: Dataset, window: Window, noun: str) -> str:
    page = next(connection.pages(dataset, window))
    more = " or more" if page.next_page_uri else ""
    count = page.records.num_rows
    return f"{count:,}{more} {noun}{'' if count == 1 else 's'}"


def _count_usage(connection: Connection, window: Window) -> str:
    try:
        return _count(connection, USAGE, window, "usage record")
    except TwilioError as error:
        # Accounts without any usage are answered with 404
        # (github.com/twilio/twilio-python/issues/787).
        if error.outcome != "not_found":
            raise
        return "none yet"


def _read_last(connection: Connection, check: Check, window: Window) -> str:
    page = next(connection.pages(MESSAGES_UNSENT, window, page_size=str(_LAST_MESSAGES)))
    records = page.records.slice(0, _LAST_MESSAGES)
    shown = {
        "created": records["date_created"],
        "direction": records["direction"],
        "status": records["status"],
        "error_code": records["error_code"],
        "from": protect(records["from"], "masked", connection.account_sid),
        "to": protect(records["to"], "masked", connection.account_sid),
        "price": records["price"],
    }
    check.last_messages = pa.table(shown).to_pylist()
    return f"{records.num_rows} shown"
