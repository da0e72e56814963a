"""Key figures by day and month, of each account and of all together, and whether goals are met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from decimal import Decimal
from operator import eq, ge, gt, le, lt

from simulator.observed import MESSAGES
from simulator.truth.billed import Billed
from simulator.truth.figures import (
    Figure,
    Member,
    Period,
    cost_figures,
    message_figures,
    periods_of,
)
from simulator.truth.ledger import Ledger
from simulator.truth.seeds import ErrorTexts, Goal
from simulator.truth.seen import Seen
from simulator.truth.tally import Tally
from simulator.truth.values import Row, instant_of, midnight

# Accounts of a simulated world have one currency, so that all of them make one scope, and the
# budget, which is the main account's, is compared with it.
_ALL = "all"
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": gt, ">=": ge, "<": lt, "<=": le, "=": eq,
}  # fmt: skip
_OF_USAGE_ALONE = ("total_cost", "forecast_cost", "cost_per_call")


def kpis(
    seen: Iterable[Seen],
    accounts: Mapping[str, Billed],
    ledger: Ledger,
    zone: tzinfo,
    texts: ErrorTexts,
    goals: Mapping[str, Goal],
    monthly_budget: Decimal | None,
) -> list[Row]:
    """A row for each period, scope and KPI; message KPIs have local days, costs those of GMT."""
    members = _members(seen, accounts, ledger, texts)
    calendars = [_of_messages(ledger, zone), _of_costs(ledger)]
    rows = []
    for calendar in calendars:
        periods = {sid: periods_of(calendar.days(member)) for sid, member in members.items()}
        for scope in [*members, _ALL]:
            group = [*members.values()] if scope == _ALL else [members[scope]]
            for period in set().union(*(periods[member.account_sid] for member in group)):
                for kpi, figure in calendar.figures(group, period).items():
                    is_settled = all(
                        calendar.is_settled(member, kpi, period)
                        or (scope == _ALL and _is_later(member, period, calendar.zone, ledger))
                        for member in group
                    )
                    budget = monthly_budget if scope == _ALL else None
                    rows.append(_row(scope, period, kpi, figure, goals[kpi], budget, is_settled))
    order = ("period_start", "period", "account_sid", "kpi")
    return sorted(rows, key=lambda row: tuple(row[name] for name in order))


@dataclass(frozen=True)
class _Calendar:
    """KPIs that share their days."""

    zone: tzinfo
    days: Callable[[Member], set[date]]
    figures: Callable[[Sequence[Member], Period], dict[str, Figure]]
    is_settled: Callable[[Member, str, Period], bool]


def _of_messages(ledger: Ledger, zone: tzinfo) -> _Calendar:
    def days(member: Member) -> set[date]:
        # A day that was read and had no message is a figure too.
        return {*member.local, *ledger.covered_days(member.account_sid, MESSAGES, zone)}

    def is_settled(member: Member, kpi: str, period: Period) -> bool:
        return _are_settled(member, member.local, period, zone, ledger)

    return _Calendar(zone, days, message_figures, is_settled)


def _of_costs(ledger: Ledger) -> _Calendar:
    def days(member: Member) -> set[date]:
        return {*member.gmt, *member.billed.row_days}

    def figures(members: Sequence[Member], period: Period) -> dict[str, Figure]:
        return cost_figures(members, period, ledger)

    def is_settled(member: Member, kpi: str, period: Period) -> bool:
        return member.billed.is_settled(period.start, period.end) and (
            kpi in _OF_USAGE_ALONE or _are_settled(member, member.gmt, period, UTC, ledger)
        )

    return _Calendar(UTC, days, figures, is_settled)


def _members(
    seen: Iterable[Seen], accounts: Mapping[str, Billed], ledger: Ledger, texts: ErrorTexts
) -> dict[str, Member]:
    """The accounts that count: those with data, or read, or refused though active; sorted."""
    members: dict[str, Member] = {}

    def member(account_sid: str) -> Member:
        if account_sid not in members:
            members[account_sid] = Member(account_sid, accounts.get(account_sid, Billed()))
        return members[account_sid]

    for entry in seen:
        member(entry.account_sid).add(entry, texts)
    for account_sid in [*accounts, *ledger.read_accounts()]:
        member(account_sid)
    for account_sid in ledger.refused_accounts():
        account = ledger.known_accounts.get(account_sid)
        if account is None or ledger.status_of(account) == "active":
            member(account_sid)
    return dict(sorted(members.items()))


def _row(
    scope: str,
    period: Period,
    kpi: str,
    figure: Figure,
    goal: Goal,
    monthly_budget: Decimal | None,
    is_settled: bool,
) -> Row:
    wanted = None
    if period.name in goal.periods:
        wanted = monthly_budget if goal.is_budget else goal.goal
    is_enough = figure.denominator is None or figure.denominator >= goal.minimum_sample
    is_met = None
    if wanted is not None and figure.value is not None and is_enough:
        is_met = _COMPARISONS[goal.comparison](figure.value, float(wanted))
    return {
        "period_start": period.start,
        "period": period.name,
        "account_sid": scope,
        "kpi": kpi,
        "value": _double(figure.value),
        "goal": _double(wanted),
        "comparison": None if wanted is None else goal.comparison,
        "is_met": is_met,
        "numerator": _double(figure.numerator),
        "denominator": _double(figure.denominator),
        "is_settled": is_settled,
    }


def _double(number: float | Decimal | None) -> float | None:
    return None if number is None else float(number)


def _are_settled(
    member: Member,
    tallies: Mapping[date, Tally],
    period: Period,
    zone: tzinfo,
    ledger: Ledger,
) -> bool:
    """Whether all of a period was read, and its messages change no more."""
    first, end = midnight(period.start, zone), midnight(period.end, zone)
    return ledger.is_complete(member.account_sid, first, end) and not any(
        tallies[day].unsettled for day in period.days if day in tallies
    )


def _is_later(member: Member, period: Period, zone: tzinfo, ledger: Ledger) -> bool:
    """Whether the account did not exist yet: nothing of it can be missing."""
    account = ledger.known_accounts.get(member.account_sid)
    return account is not None and instant_of(account.created) >= midnight(period.end, zone)
