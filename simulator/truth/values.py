"""How values are written: money, days and instants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from simulator.world import MICRO

DAY = timedelta(days=1)
Row = dict[str, Any]


def money(millionths: int) -> Decimal:
    """An amount as reports have it, exact to the sixth decimal."""
    return (Decimal(millionths) / MICRO).quantize(Decimal("0.000001"))


def instant_of(seconds: int) -> datetime:
    """An instant of epoch seconds, UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def midnight(day: date, zone: tzinfo = UTC) -> datetime:
    """When a day begins in a zone, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def first_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def next_month(day: date) -> date:
    """The first day of the month after."""
    return (first_of(day) + 32 * DAY).replace(day=1)


def days_from(first: date, end: date) -> Iterator[date]:
    """Every day from the first to the end, exclusive."""
    return (first + number * DAY for number in range((end - first).days))


def total(amounts: Iterable[int | None]) -> int | None:
    """The sum of what is known; None when nothing is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
