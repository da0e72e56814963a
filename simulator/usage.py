"""Usage by account, GMT day and category, as Twilio bills it: leaves, their parents, totalprice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from random import Random
from typing import Any

from simulator.config import DAY
from simulator.message import Message
from simulator.wire import API, amount
from simulator.world import World

# Each leaf with what contains it (twilio.com/docs/usage/api/usage-record and support cases);
# carrier fees stand beside sms and mms, not in them. `channels` contains both kinds of channels.
PARENTS = {
    "sms-inbound-longcode": ("sms-inbound", "sms"),
    "sms-outbound-longcode": ("sms-outbound", "sms"),
    "mms-inbound-longcode": ("mms-inbound", "mms"),
    "mms-outbound-longcode": ("mms-outbound", "mms"),
    "sms-messages-carrierfees": (),
    "mms-messages-carrierfees": (),
    "channels-messaging-inbound": ("channels-messaging", "channels"),
    "channels-messaging-outbound": ("channels-messaging", "channels"),
    "channels-whatsapp-template-marketing": ("channels-whatsapp", "channels"),
    "channels-whatsapp-template-utility": ("channels-whatsapp", "channels"),
    "rcs-messages": (),
    "failed-message-processing-fee": (),
    "calls-inbound-local": ("calls-inbound", "calls"),
    "calls-outbound": ("calls",),
    "calls-recordings": ("recordings",),
    "phonenumbers-local": ("phonenumbers",),
    "a2p-10dlc-registrationfees-monthly": ("a2p-registration-fees",),
    "lookups": (),
    # Not in any usual break-down: what is left of totalprice beside the known parts.
    "studio-engagements": (),
    "verify-push": (),
}
# A category nobody knows, of worlds with novelties.
_NEW_CATEGORY = "hologram-messages"
_BOOKED_WITHIN = 3 * DAY - 60  # of the day's end
# Codes for which Twilio takes no failed-message processing fee.
_FREE_OF_FAILURE_FEE = (21408, 30002, 30008, 30036, 63013, 63018, 63024, 63032)
_UNITS = {
    "calls-inbound-local": ("calls", "minutes"), "calls-outbound": ("calls", "minutes"),
    "calls-inbound": ("calls", "minutes"), "calls": ("calls", "minutes"),
    "calls-recordings": ("recordings", "minutes"), "recordings": ("recordings", "minutes"),
    "phonenumbers-local": ("numbers", "numbers"), "phonenumbers": ("numbers", "numbers"),
    "lookups": ("lookups", "lookups"), "studio-engagements": ("engagements", "engagements"),
    "verify-push": ("verifications", "verifications"),
    "a2p-10dlc-registrationfees-monthly": ("registrations", "registrations"),
    "a2p-registration-fees": ("registrations", "registrations"),
}  # fmt: skip
# Categories of other products: Twilio lists them with zeros.
IDLE = [
    "amazon-polly",
    "answering-machine-detection",
    "authy-authentications",
    "authy-calls-outbound",
    "authy-sms-outbound",
    "autopilot",
    "calleridlookups",
    "calls-client",
    "calls-sip",
    "calls-text-to-speech",
    "carrier-lookups",
    "conversations",
    "conversations-api-requests",
    "email",
    "events",
    "flex",
    "flex-usage",
    "functions",
    "group-rooms",
    "ip-messaging",
    "marketplace",
    "mediastorage",
    "monitor",
    "monitor-reads",
    "notify",
    "number-format-lookups",
    "pchat",
    "pchat-messages",
    "pfax",
    "phonenumbers-mobile",
    "phonenumbers-tollfree",
    "premiumsupport",
    "programmablevoiceconn-sip",
    "proxy",
    "pv",
    "pv-rooms",
    "recordingstorage",
    "shortcodes",
    "sip-secure-media",
    "sms-inbound-shortcode",
    "sms-outbound-shortcode",
    "speech-recognition",
    "sync",
    "sync-actions",
    "taskrouter-tasks",
    "transcriptions",
    "trunking-origination",
    "trunking-termination",
    "turnmegabytes",
    "twiml",
    "verify-totp",
    "video-recordings",
    "virtual-agent",
    "voice-insights",
    "wds",
    "wireless",
    "wireless-data",
    "wireless-sms-africa",
    "wireless-usage",
]


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


def daily_usage(world: World, now: int) -> Ledger:
    """Amounts of every category with anything in it, by account number and GMT day, as of now."""
    ledger: Ledger = defaultdict(lambda: defaultdict(Amounts))
    dates: dict[int, date] = {}
    revised = world.config.revised_usage
    for message in world.messages:
        if message.sent is None or message.sent > now:
            continue
        if revised and _booked_at(message, revised) > now:
            continue
        day = message.sent // DAY
        usage_date = dates.get(day)
        if usage_date is None:
            usage_date = dates[day] = datetime.fromtimestamp(day * DAY, UTC).date()
        _bill(message, ledger[message.account, usage_date])
    _other_products(world, now, ledger)
    for categories in ledger.values():
        total = sum(entry.cost for entry in categories.values())
        for leaf, entry in list(categories.items()):
            for parent in PARENTS.get(leaf, ()):
                categories[parent].add(entry.count, entry.usage, entry.cost)
        categories["totalprice"].add(0, 0, total)
    return ledger


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


def _other_products(world: World, now: int, ledger: Ledger) -> None:
    config = world.config
    novelties_from = _day_of(config.novelties_from)
    for account, owner in enumerate(world.accounts):
        day = max(first_day(world), _day_of(owner.created))
        last = _day_of(now if owner.ended is None else min(now, owner.ended))
        while day <= last:
            random = Random(f"{config.seed}/{account}/{day}")
            categories = ledger[account, day]
            calls = random.randrange(12)
            if calls:
                categories["calls-outbound"].add(calls, calls * 3, calls * 3 * 13_000)
                categories["calls-inbound-local"].add(calls, calls * 2, calls * 2 * 8_500)
                categories["calls-recordings"].add(calls, calls * 3, calls * 3 * 2_500)
            if day.day == 1:
                categories["phonenumbers-local"].add(
                    2 + account, 2 + account, 1_150_000 * (2 + account)
                )
                categories["a2p-10dlc-registrationfees-monthly"].add(1, 1, 10_000_000)
            lookups = random.randrange(40)
            if config.novelties and day >= novelties_from:
                categories[_NEW_CATEGORY].add(3, 3, 12_000)
            categories["lookups"].add(lookups, lookups, lookups * 5_000)
            categories["studio-engagements"].add(5, 5, 0 if random.random() < 0.5 else 1_234)
            categories["verify-push"].add(lookups // 3, lookups // 3, (lookups // 3) * 45_000)
            if config.revised_usage and now < _corrected_at(config.seed, account, day):
                much = 1 + int(lookups * config.revised_usage)
                categories["lookups"].add(much, much, much * 5_000)
            day += timedelta(days=1)


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
    count_unit, usage_unit = _UNITS.get(category, ("messages", "segments"))
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
