"""Key figures of a period, of one account or several: how each is computed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from fractions import Fraction
from functools import cached_property

from simulator.truth.billed import Billed
from simulator.truth.forecast import forecast
from simulator.truth.ledger import Ledger
from simulator.truth.seeds import ErrorTexts
from simulator.truth.seen import Seen
from simulator.truth.tally import Tally, merged, quantile
from simulator.truth.values import DAY, days_from, first_of, next_month, total
from simulator.world import MICRO

_MOST = Fraction(95, 100)  # of the messages


@dataclass(frozen=True)
class Period:
    """A day or a month, as `name` says."""

    name: str
    start: date

    @property
    def end(self) -> date:
        """The first day after it."""
        return next_month(self.start) if self.name == "month" else self.start + DAY

    @cached_property
    def days(self) -> Sequence[date]:
        """All of its days."""
        return [*days_from(self.start, self.end)]


def periods_of(days: Iterable[date]) -> set[Period]:
    """These days, and their months."""
    days = set(days)
    return {Period("day", day) for day in days} | {Period("month", first_of(day)) for day in days}


@dataclass
class Member:
    """An account as far as key figures need it; tallies by local and by UTC day."""

    account_sid: str
    billed: Billed
    local: dict[date, Tally] = field(default_factory=lambda: defaultdict(Tally))
    gmt: dict[date, Tally] = field(default_factory=lambda: defaultdict(Tally))

    def add(self, entry: Seen, texts: ErrorTexts) -> None:
        """One of its messages."""
        is_blocked = texts.is_blocked(entry.error_code)
        self.local[entry.local.date()].add(entry, is_blocked=is_blocked)
        self.gmt[entry.at.astimezone(UTC).date()].add(entry, is_blocked=is_blocked)


@dataclass(frozen=True)
class Figure:
    """A value and what it is made of, as reports show them: money in the currency's unit."""

    value: float | None
    numerator: float | None
    denominator: float | None = None


def message_figures(members: Sequence[Member], period: Period) -> dict[str, Figure]:
    """What messages say of a period of local days."""
    tally = _tally(period, [member.local for member in members])
    return {
        "messages_sent": _amount(tally.tried),
        "delivery_rate": _ratio(tally.arrived, tally.tried),
        "error_rate": _ratio(tally.failed, tally.tried),
        "blocked_rate": _ratio(tally.blocked, tally.tried),
        "seconds_to_send_p95": Figure(
            quantile(tally.seconds_to_send, _MOST), None, len(tally.seconds_to_send)
        ),
        "opt_out_count": _amount(tally.opt_outs),
    }


def cost_figures(members: Sequence[Member], period: Period, ledger: Ledger) -> dict[str, Figure]:
    """What costs say of a period of GMT days; an account's unknown costs are left out."""
    days = period.days
    bills = [member.billed for member in members]
    tally = _tally(period, [member.gmt for member in members])
    message_cost = _money(total(bill.message_cost(days) for bill in bills))
    fees = sum(bill.cost(days, ["failed-message-processing-fee"]) or 0 for bill in bills)
    # Where nothing could fail nothing was lost, but nobody would call that a figure.
    cost_of_failures = tally.cost_of_failed + fees if tally.messages or fees else None
    figures = {
        "total_cost": _amount(_money(total(bill.total_cost(days) for bill in bills))),
        "cost_per_message": _ratio(message_cost, tally.messages),
        "cost_per_segment": _ratio(message_cost, tally.segments),
        "cost_of_failures": _amount(_money(cost_of_failures), tally.failed),
        "cost_per_call": _ratio(
            _money(total(bill.cost(days, ["calls"]) for bill in bills)),
            total(bill.count(days, ["calls"]) for bill in bills),
        ),
    }
    if period.name == "month":
        figures["forecast_cost"] = _forecast(members, period.start, ledger)
    return figures


def _forecast(members: Sequence[Member], month: date, ledger: Ledger) -> Figure:
    """What a month will have cost; also members count of which nothing was read in it yet."""
    forecasts = [forecast(member.account_sid, member.billed, month, ledger) for member in members]
    return Figure(
        # What nobody can foresee is at least what is spent already.
        _money(total(one.spent if one.cost is None else one.cost for one in forecasts))
        if any(one.cost is not None for one in forecasts)
        else None,
        _money(total(one.spent for one in forecasts)),
        max((one.days for one in forecasts if one.days is not None), default=None),
    )


def _tally(period: Period, tallies: Iterable[Mapping[date, Tally]]) -> Tally:
    """The period's messages added up."""
    return merged(of_days[day] for of_days in tallies for day in period.days if day in of_days)


def _amount(amount: float | None, denominator: float | None = None) -> Figure:
    return Figure(amount, amount, denominator)


def _ratio(numerator: float | None, denominator: float | None) -> Figure:
    value = numerator / denominator if numerator is not None and denominator else None
    return Figure(value, numerator, denominator)


def _money(millionths: int | None) -> float | None:
    return None if millionths is None else millionths / MICRO
