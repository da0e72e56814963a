"""What Twilio charges by month, and how it compares with the prices of messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date
from decimal import Decimal

from simulator.truth.billed import COVER, CURRENCY, TOTAL, Billed
from simulator.truth.seen import Seen, currency_of, price_of
from simulator.truth.values import Row, days_from, first_of, money, next_month

_UNITS = {
    "calls": "minutes", "calls-recordings": "minutes", "phonenumbers": "numbers",
    "lookups": "lookups", "a2p-registration-fees": "registrations",
}  # fmt: skip


def monthly_cost(accounts: Mapping[str, Billed]) -> list[Row]:
    """A row for each GMT month, account and part of the bill, and `other`."""
    rows = []
    for account_sid, billed in accounts.items():
        for month in billed.months:
            days = [*days_from(month, next_month(month))]
            shared = {"month": month, "account_sid": account_sid}
            is_settled = billed.is_settled(month, next_month(month))
            for category in COVER:
                cost = billed.cost(days, [category])
                if cost is not None:
                    rows.append(
                        {
                            **shared,
                            "cost_category": category,
                            "currency": CURRENCY,
                            "usage_quantity": Decimal(
                                billed.sum_of("usage", days, [category]) or 0
                            ),
                            "usage_unit": _UNITS.get(category, "segments"),
                            "cost": money(cost),
                            "is_settled": is_settled,
                        }
                    )
            total, cover = billed.cost(days, [TOTAL]), billed.cost(days, COVER)
            if total is not None:
                rows.append(
                    {
                        **shared,
                        "cost_category": "other",
                        "currency": CURRENCY,
                        "usage_quantity": None,
                        "usage_unit": None,
                        "cost": money(total - (cover or 0)),
                        "is_settled": is_settled,
                    }
                )
    return sorted(rows, key=lambda row: (row["month"], row["account_sid"], row["cost_category"]))


def cost_reconciliation(seen: Iterable[Seen], accounts: Mapping[str, Billed]) -> list[Row]:
    """A row for each GMT month and account with usage or a message."""
    groups: dict[tuple[date, str], list[Seen]] = defaultdict(list)
    for entry in seen:
        groups[first_of(entry.at.astimezone(UTC).date()), entry.account_sid].append(entry)
    keys = {*groups, *((month, sid) for sid, billed in accounts.items() for month in
                       billed.months)}  # fmt: skip
    rows = []
    for month, account_sid in sorted(keys):
        messages, billed = groups[month, account_sid], accounts.get(account_sid, Billed())
        days = [*days_from(month, next_month(month))]
        has_usage = month in billed.months
        total, usage = billed.cost(days, [TOTAL]), billed.message_cost(days)
        cover = (billed.cost(days, COVER) or 0) if has_usage else None
        prices = price_of(messages)
        rows.append(
            {
                "month": month,
                "account_sid": account_sid,
                "currency": CURRENCY if has_usage else currency_of(messages),
                "totalprice_cost": None if total is None else money(total),
                "categories_cost": None if cover is None else money(cover),
                "other_cost": None if total is None else money(total - (cover or 0)),
                "message_usage_cost": None if usage is None else money(usage),
                "message_price_cost": prices,
                "difference": None if usage is None or prices is None else money(usage) - prices,
                "unpriced_count": sum(entry.state.price is None for entry in messages),
                "message_count": len(messages),
                "cost_per_message": None
                if usage is None or not messages
                else float(money(usage)) / len(messages),
            }
        )
    return rows
