"""What the running month will have cost at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from simulator.observed import USAGE
from simulator.truth.billed import TOTAL, Billed
from simulator.truth.ledger import Ledger
from simulator.truth.values import DAY, days_from, first_of, next_month

_HISTORY = 28  # days


@dataclass(frozen=True)
class Forecast:
    """A month's cost at its end and what is spent of it, millionths; None: nobody knows.

    `days` is how many days of history it rests on; None for a month that is over.
    """

    cost: int | None
    spent: int | None
    days: int | None


def forecast(account_sid: str, billed: Billed, month: date, ledger: Ledger) -> Forecast:
    """The forecast of a month: of one that is over, what it cost."""
    days = [*days_from(month, next_month(month))]
    spent, today = billed.total_cost(days), ledger.today()
    if month != first_of(today):
        return Forecast(spent, spent, None)
    history = [
        day
        for day in days_from(today - _HISTORY * DAY, today)
        if TOTAL in billed.days.get(day, {}) and ledger.covers_day(account_sid, USAGE, day)
    ]
    if not history:
        return Forecast(None, spent, 0)

    def expected(day: date) -> int:
        like = [one for one in history if one.weekday() == day.weekday()]
        return _mean([_running(billed, one) for one in like or history])

    before = sum(_cost(billed, day) for day in days if day < today)
    # Of today only the beginning is known.
    of_today = max(_running(billed, today), expected(today)) + max(
        billed.fees(today), _fees_ahead(billed, today)
    )
    after = sum(expected(day) + _fees_ahead(billed, day) for day in days if day > today)
    return Forecast(before + of_today + after, spent, len(history))


def _cost(billed: Billed, day: date) -> int:
    return billed.cost([day], [TOTAL]) or 0


def _running(billed: Billed, day: date) -> int:
    return _cost(billed, day) - billed.fees(day)


def _fees_ahead(billed: Billed, day: date) -> int:
    """The fees of the same day a month before; the last day also stands for those it lacks."""
    before = first_of(first_of(day) - DAY)
    is_last = (day + DAY).day == 1
    return sum(
        billed.fees(one)
        for one in days_from(before, first_of(day))
        if one.day == day.day or (is_last and one.day > day.day)
    )


def _mean(amounts: Sequence[int]) -> int:
    return int((Decimal(sum(amounts)) / len(amounts)).quantize(Decimal(1), ROUND_HALF_UP))
