"""Usage by account, GMT day and category, as Twilio bills it: leaves, their parents, totalprice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from random import Random
from typing import Any

from simulator.categories import IDLE, PARENTS, UNITS
from simulator.config import DAY
from simulator.message import Message
from simulator.wire import API, amount
from simulator.world import World

# A category nobody knows, of worlds with novelties.
_NEW_CATEGORY = "hologram-messages"
_BOOKED_WITHIN = 3 * DAY - 60  # seconds after the day's end
_EPOCH = date(1970, 1, 1)
# Codes for which Twilio takes no failed-message processing fee.
_FREE_OF_FAILURE_FEE = (21408, 30002, 30008, 30036, 63013, 63018, 63024, 63032)


@dataclass
class Amounts:
    """Events, billed quantity, and cost in millionths."""

    count: int = 0
    usage: int = 0
    cost: int = 0

    def add(self, count: int, usage: int, cost: int) -> None:
        """More of the same."""
        self.count += count
        self.usage += usage
        self.cost += cost


Ledger = dict[tuple[int, date], dict[str, Amounts]]
Spans = Sequence[tuple[date, date]]  # first and last day, both inclusive


def first_day(world: World) -> date:
    """The first day with usage: some time before the first message."""
    return world.config.start.date() - timedelta(days=45)


class Bills:
    """A world's usage as of any instant; a day that changes no more is added up once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._final: dict[int, Ledger] = {}
        self._sent_on: dict[int, list[Message]] = defaultdict(list)
        for message in world.messages:
            if message.sent is not None:
                self._sent_on[message.sent // DAY].append(message)

    def as_of(self, now: int) -> Ledger:
        """Amounts of every category with anything in it, by account number and GMT day."""
        ledger: Ledger = {}
        first = (first_day(self._world) - _EPOCH).days
        for day in range(first, now // DAY + 1):
            is_final = now >= (day + 1) * DAY + _BOOKED_WITHIN
            if not is_final:
                ledger.update(self._of_day(day, now))
                continue
            if day not in self._final:
                self._final[day] = self._of_day(day, now)
            ledger.update(self._final[day])
        return ledger

    def _of_day(self, day: int, now: int) -> Ledger:
        usage_date = _day_of(day * DAY)
        ledger: Ledger = defaultdict(lambda: defaultdict(Amounts))
        revised = self._world.config.revised_usage
        for message in self._sent_on.get(day, ()):
            booked = _booked_at(message, revised) if revised else message.sent
            if booked is not None and booked <= now:
                _bill(message, ledger[message.account, usage_date])
        for account, owner in enumerate(self._world.accounts):
            if owner.created // DAY <= day and (owner.ended is None or day <= owner.ended // DAY):
                _other_products(self._world, account, usage_date, now, ledger[account, usage_date])
        for categories in ledger.values():
            total = sum(entry.cost for entry in categories.values())
            for leaf, entry in list(categories.items()):
                for parent in PARENTS.get(leaf, ()):
                    categories[parent].add(entry.count, entry.usage, entry.cost)
            categories["totalprice"].add(0, 0, total)
        return ledger


def daily_usage(world: World, now: int) -> Ledger:
    """Usage as of one instant, epoch seconds; for several, `Bills` is quicker."""
    return Bills(world).as_of(now)


def totals(ledger: Ledger, accounts: Iterable[int], first: date, last: date) -> dict[str, Amounts]:
    """What some accounts used from the first to the last day, idle categories too, by name."""
    summed: dict[str, Amounts] = defaultdict(Amounts)
    for name in (*IDLE, *PARENTS, *chain(*PARENTS.values()), "totalprice"):
        summed[name] = Amounts()
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    for account in accounts:
        for day in days:
            for name, entry in ledger.get((account, day), {}).items():
                summed[name].add(entry.count, entry.usage, entry.cost)
    return dict(sorted(summed.items()))


def _booked_at(message: Message, revised: float) -> int:
    """When a message appears in usage: some only days after it was sent."""
    sent = message.sent or 0
    if int(message.sid[2:10], 16) >= revised * 2**32:
        return sent
    latest = (sent // DAY + 1) * DAY + _BOOKED_WITHIN
    return sent + int(message.sid[10:18], 16) * (latest - sent) // 2**32


def _bill(message: Message, categories: dict[str, Amounts]) -> None:
    if message.steps[-1][1] == "failed":
        if message.error_code not in _FREE_OF_FAILURE_FEE:
            categories["failed-message-processing-fee"].add(1, 1, 1_000)
        return
    way = "inbound" if message.direction == "inbound" else "outbound"
    cost, quantity = -message.charge, message.segment_count
    if message.channel not in ("sms", "mms", "rcs"):
        categories[f"channels-messaging-{way}"].add(1, quantity, cost)
        if way == "outbound" and message.channel == "whatsapp":
            kind = "marketing" if message.body.startswith("Oferta") else "utility"
            fee = 30_500 if kind == "marketing" else 8_600
            categories[f"channels-whatsapp-template-{kind}"].add(1, 1, fee)
    elif message.channel == "rcs":
        categories["rcs-messages"].add(1, quantity, cost)
    else:
        categories[f"{message.channel}-{way}-longcode"].add(1, quantity, cost)
        if way == "outbound" and message.country == "US":
            fee = 3_000 * quantity if message.channel == "sms" else 10_000
            categories[f"{message.channel}-messages-carrierfees"].add(1, quantity, fee)


def _other_products(
    world: World, account: int, day: date, now: int, categories: dict[str, Amounts]
) -> None:
    config = world.config
    random = Random(f"{config.seed}/{account}/{day}")
    calls = random.randrange(12)
    if calls:
        categories["calls-outbound"].add(calls, calls * 3, calls * 3 * 13_000)
        categories["calls-inbound-local"].add(calls, calls * 2, calls * 2 * 8_500)
        categories["calls-recordings"].add(calls, calls * 3, calls * 3 * 2_500)
    if day.day == 1:
        numbers = 2 + account
        categories["phonenumbers-local"].add(numbers, numbers, 1_150_000 * numbers)
        categories["a2p-10dlc-registrationfees-monthly"].add(1, 1, 10_000_000)
    lookups = random.randrange(40)
    categories["lookups"].add(lookups, lookups, lookups * 5_000)
    categories["studio-engagements"].add(5, 5, 0 if random.random() < 0.5 else 1_234)
    categories["verify-push"].add(lookups // 3, lookups // 3, (lookups // 3) * 45_000)
    if config.revised_usage and now < _corrected_at(config.seed, account, day):
        too_many = 1 + int(lookups * config.revised_usage)
        categories["lookups"].add(too_many, too_many, too_many * 5_000)
    if config.novelties and day >= _day_of(config.novelties_from):
        categories[_NEW_CATEGORY].add(3, 3, 12_000)


def _corrected_at(seed: int, account: int, day: date) -> int:
    """Until when lookups of a day are counted too high, epoch seconds."""
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return int(end.timestamp()) + Random(f"{seed}/correction/{account}/{day}").randrange(
        _BOOKED_WITHIN
    )


def _day_of(instant: int) -> date:
    return datetime.fromtimestamp(instant, UTC).date()


def record(
    account_sid: str, category: str, first: date, last: date, entry: Amounts, now: int,
    resource: str,
) -> dict[str, Any]:  # fmt: skip
    """A usage record; prices are positive and currencies lower case, unlike a message's."""
    uri = f"{API}/Accounts/{account_sid}/Usage/Records"
    query = f"Category={category}&StartDate={first}&EndDate={last}"
    is_total = category == "totalprice"
    count_unit, usage_unit = UNITS.get(category, ("messages", "segments"))
    names = ("all_time", "daily", "last_month", "monthly", "this_month", "today", "yearly",
             "yesterday")  # fmt: skip
    return {
        "account_sid": account_sid,
        "api_version": "2010-04-01",
        "as_of": f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%S+00:00}",
        "category": category,
        "count": "" if is_total else str(entry.count),
        "count_unit": "" if is_total else count_unit,
        "description": category.replace("-", " ").title(),
        "end_date": f"{last}",
        "price": amount(entry.cost),
        "price_unit": "usd",
        "start_date": f"{first}",
        "subresource_uris": {
            name: f"{uri}/{name.title().replace('_', '')}.json?Category={category}"
            for name in names
        },
        "uri": f"{uri}{resource}.json?{query}",
        "usage": amount(entry.cost) if is_total else str(entry.usage),
        "usage_unit": "usd" if is_total else usage_unit,
    }
