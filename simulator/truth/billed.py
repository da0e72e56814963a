"""Usage of an account as the lake has it, and the parts of the bill."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property

from simulator.observed import Read, known_usage
from simulator.truth.values import DAY, days_from, first_of, instant_of, midnight
from simulator.usage import Amounts
from simulator.world import World

# The parts of the bill that do not overlap; `other` is what totalprice has beyond them.
COVER = (
    "sms", "mms", "sms-messages-carrierfees", "mms-messages-carrierfees", "channels-messaging",
    "channels-whatsapp", "rcs-messages", "failed-message-processing-fee", "calls",
    "calls-recordings", "phonenumbers", "a2p-registration-fees", "lookups",
)  # fmt: skip
# What messages themselves cost, by group of channels.
MESSAGE_CATEGORIES = {
    "sms": "sms", "mms": "mms", "rcs": "rcs-messages", "channels": "channels-messaging",
}  # fmt: skip
_MONTHLY_FEES = ("phonenumbers", "a2p-registration-fees")
TOTAL = "totalprice"
CURRENCY = "USD"  # the only one in a simulated world
_REVISED = 3 * DAY  # usage of a day may change for so long after its end


def group_of(channel: str) -> str:
    """The group of channels that Twilio bills together."""
    return channel if channel in ("sms", "mms", "rcs") else "channels"


@dataclass
class Billed:
    """An account's usage: rows by day and category, and when each day was last read."""

    days: dict[date, dict[str, Amounts]] = field(default_factory=dict)
    read_at: dict[date, datetime] = field(default_factory=dict)

    @cached_property
    def row_days(self) -> set[date]:
        """Days with something of the cover, or a totalprice."""
        return {day for day, rows in self.days.items() if rows.keys() & {*COVER, TOTAL}}

    @cached_property
    def months(self) -> set[date]:
        """Months with such a day."""
        return {first_of(day) for day in self.row_days}

    @cached_property
    def _days_of_months_with_total(self) -> set[date]:
        months = {first_of(day) for day, rows in self.days.items() if TOTAL in rows}
        return {day for day in self.days if first_of(day) in months}

    def cost(self, days: Iterable[date], categories: Iterable[str]) -> int | None:
        """What some categories cost in some days; None when they have no row in them."""
        return self.sum_of("cost", days, categories)

    def count(self, days: Iterable[date], categories: Iterable[str]) -> int | None:
        """Their events; None when there is no row."""
        return self.sum_of("count", days, categories)

    def sum_of(self, name: str, days: Iterable[date], categories: Iterable[str]) -> int | None:
        """The sum of one amount of some categories; None when they have no row in those days."""
        wanted = set(categories)
        found = [
            getattr(rows[category], name)
            for rows in (self.days.get(day, {}) for day in days)
            for category in rows.keys() & wanted
        ]
        return sum(found) if found else None

    def total_cost(self, days: Sequence[date]) -> int | None:
        """Totalprice of days of one month; None when the month has none, or the days no usage.

        A day with usage and without totalprice costs nothing, if others of the month have it.
        """
        found = self.cost(days, [TOTAL])
        if found is None and self.row_days & set(days) & self._days_of_months_with_total:
            return 0
        return found

    def message_cost(self, days: Sequence[date]) -> int | None:
        """What Twilio's usage says messages cost; None when the days have no usage at all."""
        if not self.row_days & set(days):
            return None
        return self.cost(days, MESSAGE_CATEGORIES.values()) or 0

    def fees(self, day: date) -> int:
        """What is charged once a month and not by use."""
        return self.cost([day], _MONTHLY_FEES) or 0

    def is_settled(self, first: date, end: date) -> bool:
        """Whether each day to the end, exclusive, was read when it could change no more."""
        final = midnight(end) + _REVISED
        return all(day in self.read_at and self.read_at[day] >= final for day in
                   days_from(first, end))  # fmt: skip


def billed_accounts(world: World, reads: Sequence[Read]) -> dict[str, Billed]:
    """Usage by account SID: records that are not all zero, and every totalprice."""
    days: dict[str, dict[date, dict[str, Amounts]]] = defaultdict(dict)
    read_at: dict[str, dict[date, datetime]] = defaultdict(dict)
    for (account, day), known in known_usage(world, reads).items():
        account_sid = world.accounts[account].sid
        if known.read_at is not None:
            read_at[account_sid][day] = instant_of(known.read_at)
        rows = _not_zero(known.categories)
        if rows:
            days[account_sid][day] = rows
    return {sid: Billed(days[sid], read_at[sid]) for sid in {*days, *read_at}}


def _not_zero(categories: Mapping[str, Amounts]) -> dict[str, Amounts]:
    return {
        category: amounts
        for category, amounts in categories.items()
        if category == TOTAL or amounts.count or amounts.usage or amounts.cost
    }
