"""A lake with accounts of three currencies, a month without usage, and one with too much of it.

AC1 pays in euros; there is no usage of its October. AC2 pays in dollars; in October Twilio's total
is below the sum of its categories. AC3 has one message, and no usage.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.sql.lake_rows import at, message, read, usage

_CURRENCIES = {"AC1": "EUR", "AC2": "USD", "AC3": "MXN"}
_NAMES = {"AC1": "Tienda", "AC2": "Store", "AC3": "Puesto"}
_DAYS = [date(2026, 9, 11) + timedelta(days=day) for day in range(61)]


def _sent(number: int, account_sid: str, day: date) -> dict[str, Any]:
    has_failed = number % 9 == 0
    return message(
        number,
        f"{day} 12:00",
        "undelivered" if has_failed else "delivered",
        account_sid=account_sid,
        error_code=30003 if has_failed else None,
        price=Decimal("-0.05"),
        currency=_CURRENCIES[account_sid],
    )


def _used(account_sid: str, day: date) -> list[dict[str, Any]]:
    is_over = account_sid == "AC2" and day.month == 10
    costs = {"sms": "0.50", "phonenumbers": "1.50", "totalprice": "1.50" if is_over else "2.25"}
    return [
        usage(str(day), category, cost, account_sid=account_sid, currency=_CURRENCIES[account_sid])
        for category, cost in costs.items()
    ]


MESSAGES = [
    *(_sent(number, "AC1", day) for number, day in enumerate(_DAYS)),
    *(_sent(100 + number, "AC2", day) for number, day in enumerate(_DAYS[::2])),
    _sent(201, "AC3", date(2026, 11, 9)),
]
USAGE = [
    row
    for account_sid in ("AC1", "AC2")
    for day in _DAYS
    if (account_sid, day.month) != ("AC1", 10)
    for row in _used(account_sid, day)
]
LAKE = {
    "messages": MESSAGES,
    "usage_records": USAGE,
    "accounts": [
        {
            "account_sid": sid, "name": name, "owner_account_sid": "AC1", "status": "active",
            "created_at": at("2025-01-01 00:00"),
        }
        for sid, name in _NAMES.items()
    ],
    "extractions": [
        read(dataset, "2026-09-11 00:00", "2026-11-10 06:00", account_sid=sid)
        for sid in _NAMES
        for dataset in ("messages", "unsent_messages", "usage_records")
    ],
}  # fmt: skip
