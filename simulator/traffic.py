"""The messages of a shop and its branches, each with the timeline of its life."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from random import Random

from simulator import people
from simulator.accounts import Account
from simulator.config import DAY, WorldConfig, identifier
from simulator.message import Message

# Errors with how often they are met (twilio.com/docs/api/errors): those that end as failed and
# those that end as undelivered, of text messages and of other channels.
_FAILED_CODES = {
    "text": {21610: 4, 30034: 2, 21408: 2, 21211: 1, 30001: 1, 30002: 1, 30410: 1},
    "channel": {63016: 6, 63015: 1, 63007: 1, 63018: 1, 63051: 1},
}
_UNDELIVERED_CODES = {
    "text": {30003: 8, 30005: 6, 30007: 4, 30006: 3, 30008: 3, 30004: 2, 30036: 1},
    "channel": {63049: 5, 63024: 3, 63003: 2, 63032: 1},
}

_HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 20, 24, 24, 20, 16, 18, 22, 24, 22, 16, 12, 8, 5, 3, 2)
_WEEKDAYS = (10, 11, 11, 11, 12, 7, 4)


def draw_messages(config: WorldConfig, accounts: Sequence[Account]) -> list[Message]:
    """All messages of the configuration, ascending by when they were created."""
    random = Random(config.seed)
    people_count = max(40, config.messages // 8)
    everyone = people.customers(people_count, random)
    services = [["MG" + identifier(config.seed, f"service {i} {j}") for j in range(2)]
                for i in range(len(accounts))]  # fmt: skip
    numbers = [people.number(random.choice(("US", "MX", "ES")), random) for _ in accounts]
    ahead = max(1, config.messages // max(1, config.days))
    instants = _instants(config, random, config.messages, ahead)
    weights = [1 / (i + 1) for i in range(len(accounts))]
    owners = random.choices(range(len(accounts)), weights, k=len(instants))
    sid_source = random.getrandbits
    others = random.choices(everyone, cum_weights=loyalty(len(everyone)), k=len(instants))
    return [
        _message(
            random, created, owner, other, services[owner], numbers[owner],
            f"{sid_source(128):032x}",
        )
        for created, drawn, other in zip(instants, owners, others, strict=True)
        # What a sub-account cannot send, because there is none yet or no more, the shop sends.
        for owner in (drawn if accounts[drawn].is_active(created) else 0,)
    ]  # fmt: skip


def loyalty(people_count: int) -> list[float]:
    """Cumulated weights of customers: a long tail, a few get many, nobody most of all."""
    head = 30 + people_count / 1000
    return list(accumulate((rank + head) ** -0.8 for rank in range(people_count)))


def _instants(config: WorldConfig, random: Random, count: int, ahead: int) -> list[int]:
    """Ascending instants of creation: `count` up to `until`, `ahead` in the day after it."""
    start, until = int(config.start.timestamp()), int(config.until.timestamp())
    days = range(config.days + 2)
    weights = [_WEEKDAYS[(config.start.weekday() + day) % 7] for day in days]

    def draw(first: int, last: int, wanted: int) -> list[int]:
        drawn: list[int] = []
        while len(drawn) < wanted:
            batch = wanted - len(drawn)
            chosen_days = random.choices(days, weights, k=batch)
            chosen_hours = random.choices(range(24), _HOURS, k=batch)
            for day, hour in zip(chosen_days, chosen_hours, strict=True):
                # Shops here wake some hours after Greenwich.
                instant = start + day * DAY + (hour + 5) % 24 * 3600 + int(random.random() * 3600)
                if first <= instant < last:
                    drawn.append(instant)
        return drawn

    return sorted(draw(start, until, count) + draw(until, until + DAY, ahead))


def _message(
    random: Random, created: int, account: int, customer: tuple[str, str],
    services: list[str], own_number: str, hexadecimal: str,
) -> Message:  # fmt: skip
    draw = random.random
    address, country = customer
    channel = _channel(draw(), country)
    shown_country: str | None = country
    other: str | None = address
    own = own_number
    if channel in ("whatsapp", "rcs"):
        other = f"{channel}:{address}"
        own = f"whatsapp:{own_number}" if channel == "whatsapp" else "rcs:tienda_ejemplo"
    elif channel == "messenger":
        other = f"messenger:{int(address[1:]) * 7919 % 10**15:015d}"
        own, shown_country = "messenger:100000000000001", None
    media_count = 1 + int(draw() * 3) if channel == "mms" else 0
    sid = ("MM" if media_count else "SM") + hexadecimal
    kind = draw()
    if kind < 0.15:
        return _inbound(
            random, sid, created, account, channel, other, own, shown_country, media_count
        )
    if channel == "sms" and country == "ES" and draw() < 0.5:
        own = "MITIENDA"  # a name instead of a number: nobody can answer it
    if draw() < 0.0002:
        other, shown_country = None, None
    direction = (
        "outbound-reply" if kind < 0.19
        else "outbound-call" if kind < 0.2
        else "system" if kind < 0.2003  # a direction nobody knows
        else "outbound-api"
    )  # fmt: skip
    template = random.choice(people.TEXTS)
    body = template.replace("{n}", str(int(draw() * 900_000) + 100_000))
    segment_count = 1 if media_count else _segments_of[template]
    service_sid = random.choice(services) if direction == "outbound-api" and draw() < 0.3 else None
    steps, sent, error_code = _outbound_life(random, created, channel, service_sid is not None)
    last = steps[-1][1]
    charge, priced = 0, None
    if sent is not None and last != "failed":
        charge = -_unit_price(channel, country, inbound=False) * segment_count
        if draw() < 0.995:
            slow = int(draw() * DAY) if draw() < 0.05 else int(draw() * 1800)
            priced = sent + 60 + min(slow, DAY - 60)
    return Message(
        sid, account, direction, channel, own, other, shown_country, service_sid,
        body, media_count, segment_count, created, sent, steps, error_code, charge, priced,
        draw() < 0.95, draw() < 0.0002,
    )  # fmt: skip


# A text's number has always six digits, so each has one length.
_segments_of = {text: people.segments(text.replace("{n}", "123456")) for text in people.TEXTS}


def _inbound(
    random: Random, sid: str, created: int, account: int, channel: str, other: str | None,
    own: str, country: str | None, media_count: int,
) -> Message:  # fmt: skip
    draw = random.random
    body = random.choices(people.REPLIES, people.REPLY_WEIGHTS)[0]
    steps: tuple[tuple[int, str], ...] = ((created, "received"),)
    fate = draw()
    if fate < 0.001:
        steps = ((created, "receiving"),)  # for ever
    elif fate < 0.02:
        steps = ((created, "receiving"), (created + 1 + int(draw() * 20), "received"))
    charge = -_unit_price(channel, country or "", inbound=True)
    priced = None if draw() < 0.002 else created + 30 + int(draw() * 900)
    return Message(
        sid, account, "inbound", channel, other, own, country, None, body, media_count, 1, created,
        created, steps, None, charge, priced, draw() < 0.95, draw() < 0.0002,
    )  # fmt: skip


def _outbound_life(
    random: Random, created: int, channel: str, has_service: bool
) -> tuple[tuple[tuple[int, str], ...], int | None, int | None]:
    """Steps, when date_sent appears, and the error it ends with."""
    draw = random.random
    steps: list[tuple[int, str]] = []
    begin = created
    fate = draw()
    if has_service:
        if fate < 0.04:  # with SendAt
            steps.append((created, "scheduled"))
            if fate < 0.012:
                steps.append((created + 600 + int(draw() * 2 * DAY), "canceled"))
                return tuple(steps), None, None
            begin = created + 3600 + int(draw() * 6 * DAY)
        else:
            steps.append((created, "accepted"))
            if fate < 0.041:
                return tuple(steps), None, None  # and stays so
            begin = created + int(draw() * 2)
    steps.append((begin, "queued"))
    fate = draw()
    if fate < 0.0003:
        return tuple(steps), None, None
    waits = int(draw() * 8 * 3600) if draw() < 0.005 else int(draw() ** 4 * 20)
    sent = begin + 1 + waits
    kind = "text" if channel in ("sms", "mms") else "channel"
    if fate < 0.008:
        code = _drawn(random, _FAILED_CODES[kind]) if draw() < 0.9 else None
        steps.append((sent, "failed"))
        return tuple(steps), sent if draw() < 0.4 else None, code
    steps.append((max(begin, sent - 1), "sending"))
    if fate < 0.0083:
        return tuple(steps), None, None
    steps.append((sent, "sent"))
    arrives = sent + 2 + int(draw() ** 6 * 1800)
    if draw() < 0.01:
        arrives = sent + int(draw() * 2 * DAY)
    if fate < 0.026:
        steps.append((arrives, "undelivered"))
        return tuple(steps), sent, _drawn(random, _UNDELIVERED_CODES[kind])
    if (
        fate < 0.038
    ):  # no receipt ever comes: sent for ever; the few who blocked the shop, with 63033
        return tuple(steps), sent, 63033 if channel == "whatsapp" and draw() < 0.1 else None
    if fate < 0.0385:
        steps.append((arrives, "partially_delivered"))
        return tuple(steps), sent, None
    if fate < 0.039:
        steps.append((arrives, "shipped"))  # a status nobody knows
        return tuple(steps), sent, None
    steps.append((arrives, "delivered"))
    if channel in ("whatsapp", "rcs") and draw() < 0.6:
        steps.append((arrives + 5 + int(draw() ** 5 * DAY), "read"))
    return tuple(steps), sent, None


def _drawn(random: Random, weights: dict[int, int]) -> int:
    return random.choices(list(weights), list(weights.values()))[0]


def _channel(point: float, country: str) -> str:
    if point < 0.42:
        return "whatsapp"
    if point < 0.44:
        return "messenger"
    if point < 0.46:
        return "rcs"
    return "mms" if country in ("US", "CA") and point < 0.6 else "sms"


def _unit_price(channel: str, country: str, inbound: bool) -> int:
    """Millionths of a dollar a segment; made up, with Twilio's number of decimals."""
    if channel in ("whatsapp", "messenger"):
        return 5_000
    if channel == "rcs":
        return 8_500
    if channel == "mms":
        return 16_500 if inbound else 22_000
    if inbound:
        return 7_900
    return {"US": 8_300, "CA": 7_900, "MX": 55_650, "ES": 78_500, "GB": 52_410}.get(country, 61_200)
