"""The expected reports, in plain Python, from the simulator's own records.

Scope: what was read. By default everything since `read_since` (a UTC midnight) was read once, at
`now`: messages whose time (date_sent, else date_created) lies between the two, usage from the
first day of the month of `read_since`. With `reads` it is those windows at their instants, and
each figure is as it was shown when it was last read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from simulator import people
from simulator.observed import (
    MESSAGES,
    Known,
    KnownDay,
    Read,
    known_messages,
    known_usage,
    reads_of_all,
    unbroken,
)
from simulator.world import MICRO, Message, MessageState, World

# The parts of the bill that do not overlap; `other` is what totalprice has beyond them.
COVER = (
    "sms", "mms", "sms-messages-carrierfees", "mms-messages-carrierfees", "channels-messaging",
    "channels-whatsapp", "rcs-messages", "failed-message-processing-fee", "calls",
    "calls-recordings", "phonenumbers", "a2p-registration-fees", "lookups",
)  # fmt: skip
_NEVER_TRIED = ("accepted", "scheduled", "canceled")
_ARRIVED = ("delivered", "read")
_FAILED = ("failed", "undelivered")
_FINAL = (*_ARRIVED, *_FAILED, "canceled", "received")
_TOP = 100
_HOUR = timedelta(hours=1)
_REVISED = timedelta(days=3)  # usage of a day may change for so long after its end
Row = dict[str, Any]
Stretches = Mapping[str, Sequence[tuple[datetime, datetime]]]


@dataclass(frozen=True)
class Seen:
    """A message as it is shown, with what follows from it."""

    message: Message
    state: MessageState
    account_sid: str
    at: datetime  # UTC
    local: datetime
    direction: str
    channel: str
    address: str | None
    is_tried: bool
    is_settled: bool

    @property
    def has_arrived(self) -> bool:
        """Whether an outbound message arrived."""
        return self.is_tried and self.state.status in _ARRIVED

    @property
    def has_failed(self) -> bool:
        """Whether an outbound message failed."""
        return self.is_tried and self.state.status in _FAILED


def expected_reports(
    world: World,
    now: datetime,
    timezone: str,
    read_since: datetime,
    *,
    with_unsent: bool = True,
    reads: Sequence[Read] | None = None,
) -> dict[str, list[Row]]:
    """Rows of daily_volume, hourly_delivery_rate, monthly_cost and top_recipients.

    Args:
        now: when everything since `read_since` was read; of no meaning with `reads`.
        reads: what was read instead, as a ledger has it.
    """
    zone = ZoneInfo(timezone)
    if reads is None:
        reads = reads_of_all(world, [now], read_since, with_unsent=with_unsent)
    seen = [_seen(world, known, zone) for known in known_messages(world, reads)]
    covered = unbroken(reads, MESSAGES)
    return {
        "daily_volume": _daily_volume(seen, zone, covered),
        "hourly_delivery_rate": _hourly_delivery_rate(seen, covered),
        "monthly_cost": _monthly_cost(world, known_usage(world, reads)),
        "top_recipients": _top_recipients(seen),
    }


def expected_messages(
    world: World,
    now: datetime,
    read_since: datetime,
    *,
    with_unsent: bool = True,
    reads: Sequence[Read] | None = None,
) -> dict[str, Row]:
    """What the lake must know of each message, by SID; arguments as of `expected_reports`."""
    if reads is None:
        reads = reads_of_all(world, [now], read_since, with_unsent=with_unsent)
    return {known.message.sid: _lake_row(world, known) for known in known_messages(world, reads)}


def _lake_row(world: World, known: Known) -> Row:
    message, state = known.message, known.state
    encoding = None
    if state.body:
        encoding = "gsm7" if people.is_gsm7(state.body) else "ucs2"
    return {
        "account_sid": world.accounts[message.account].sid,
        "messaging_service_sid": message.service_sid,
        "direction": message.direction,
        "status": state.status,
        "error_code": state.error_code,
        "sender": state.sender,
        "recipient": message.recipient,
        "country": message.country,
        "created_at": _utc(message.created),
        "sent_at": None if state.sent is None else _utc(state.sent),
        "updated_at": _utc(state.updated),
        "price": None if state.price is None else _money(state.price),
        "currency": state.currency,
        "segment_count": state.segment_count,
        "media_count": message.media_count,
        "body_length": len(state.body),
        "body_encoding": encoding,
        # What was asked for counts, even when its text is gone.
        "is_opt_out_request": message.direction == "inbound"
        and any(body.upper() in people.OPT_OUT_WORDS for body in known.bodies),
    }


def _seen(world: World, known: Known, zone: ZoneInfo) -> Seen:
    message, state = known.message, known.state
    at = _utc(message.created if state.sent is None else state.sent)
    other = message.sender if message.direction == "inbound" else message.recipient
    prefix, colon, rest = (other or "").partition(":")
    if colon:
        channel, address = prefix.lower(), rest
    else:
        is_mms = message.media_count > 0 or message.sid.startswith("MM")
        channel, address = "mms" if is_mms else "sms", other or ""
    way = message.direction
    direction = way if way == "inbound" else "unknown"
    if way.startswith("outbound"):
        direction = "outbound"
    return Seen(
        message=message,
        state=state,
        account_sid=world.accounts[message.account].sid,
        at=at,
        local=at.astimezone(zone),
        direction=direction,
        channel=channel,
        address=address or None,
        is_tried=direction == "outbound" and state.status not in _NEVER_TRIED,
        is_settled=_is_settled(state, _utc(known.read_at) - at),
    )


def _is_settled(state: MessageState, age: timedelta) -> bool:
    if age >= timedelta(days=7) and state.status != "scheduled":
        return True
    is_done = state.status in _FINAL or (state.status == "sent" and age >= timedelta(hours=72))
    is_costed = state.price is not None or (
        state.status in (*_FAILED, "canceled") and age >= timedelta(hours=24)
    )
    return is_done and is_costed


def _daily_volume(seen: list[Seen], zone: ZoneInfo, covered: Stretches) -> list[Row]:
    groups: dict[tuple[date, str, str, str], list[Seen]] = defaultdict(list)
    for entry in seen:
        groups[entry.local.date(), entry.account_sid, entry.channel, entry.direction].append(entry)
    rows = []
    for (day, account_sid, channel, direction), group in sorted(groups.items()):
        first = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        after = day + timedelta(days=1)
        last = datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC)
        rows.append(
            {
                "message_date": day,
                "account_sid": account_sid,
                "channel": channel,
                "direction": direction,
                "currency": _currency(group),
                "message_count": len(group),
                "segment_count": sum(entry.state.segment_count for entry in group),
                "media_count": sum(entry.message.media_count for entry in group),
                **_outcomes(group),
                "message_cost": _cost(group),
                "unpriced_count": sum(entry.state.price is None for entry in group),
                "is_settled": _is_covered(first, last, covered[account_sid])
                and all(entry.is_settled for entry in group),
            }
        )
    return rows


def _hourly_delivery_rate(seen: list[Seen], covered: Stretches) -> list[Row]:
    groups: dict[tuple[datetime, str, str, str], list[Seen]] = defaultdict(list)
    for entry in seen:
        if entry.direction == "outbound":
            hour = entry.local.replace(minute=0, second=0, microsecond=0)
            groups[
                hour.replace(tzinfo=None, fold=0), _offset(entry.local), entry.account_sid,
                entry.channel,
            ].append(entry)  # fmt: skip
    rows = []
    for (hour, offset, account_sid, channel), group in sorted(groups.items()):
        sign = -1 if offset[0] == "-" else 1
        ahead = sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6]))
        first = (hour - ahead).replace(tzinfo=UTC)
        outcomes = _outcomes(group)
        tried, arrived = outcomes["attempted_count"], outcomes["delivered_count"]
        answered = arrived + outcomes["failed_count"]
        rows.append(
            {
                "message_hour": hour,
                "utc_offset": offset,
                "account_sid": account_sid,
                "channel": channel,
                **outcomes,
                "delivery_rate": arrived / tried if tried else None,
                "confirmed_delivery_rate": arrived / answered if answered else None,
                "is_settled": _is_covered(first, first + _HOUR, covered[account_sid])
                and all(entry.is_settled for entry in group),
            }
        )
    return rows


def _is_covered(
    first: datetime, last: datetime, stretches: Sequence[tuple[datetime, datetime]]
) -> bool:
    return any(start <= first and last <= end for start, end in stretches)


def _monthly_cost(world: World, days: dict[tuple[int, date], KnownDay]) -> list[Row]:
    """From the records of each day that are not all zero; totalprice has always one."""
    totals: dict[tuple[date, str], dict[str, list[int]]] = defaultdict(
        lambda: defaultdict(lambda: [0, 0, 0])
    )
    read_at: dict[tuple[date, str], list[int]] = defaultdict(list)
    for (account, day), known in days.items():
        key = day.replace(day=1), world.accounts[account].sid
        read_at[key].append(known.read_at)
        month = totals[key]
        month["totalprice"][0] += 0
        for category, entry in known.categories.items():
            if entry.count or entry.usage or entry.cost or category == "totalprice":
                month[category][0] += entry.count
                month[category][1] += entry.usage
                month[category][2] += entry.cost
    rows = []
    for (month_start, account_sid), by_category in sorted(totals.items()):
        month_end = (month_start + timedelta(days=32)).replace(day=1)
        final = datetime(month_end.year, month_end.month, month_end.day, tzinfo=UTC) + _REVISED
        read = read_at[month_start, account_sid]
        is_settled = len(read) == (month_end - month_start).days and _utc(min(read)) >= final
        shared = {"month": month_start, "account_sid": account_sid}
        covered = 0
        for category in sorted(set(COVER) & set(by_category)):
            _, quantity, cost = by_category[category]
            covered += cost
            rows.append(
                {
                    **shared,
                    "cost_category": category,
                    "currency": "USD",
                    "usage_quantity": Decimal(quantity),
                    "usage_unit": _unit(category),
                    "cost": _money(cost),
                    "is_settled": is_settled,
                }
            )
        rows.append(
            {
                **shared,
                "cost_category": "other",
                "currency": "USD",
                "usage_quantity": None,
                "usage_unit": None,
                "cost": _money(by_category["totalprice"][2] - covered),
                "is_settled": is_settled,
            }
        )
    return sorted(rows, key=lambda row: (row["month"], row["account_sid"], row["cost_category"]))


def _unit(category: str) -> str:
    units = {
        "calls": "minutes", "calls-recordings": "minutes", "phonenumbers": "numbers",
        "lookups": "lookups", "a2p-registration-fees": "registrations",
    }  # fmt: skip
    return units.get(category, "segments")


def _top_recipients(seen: list[Seen]) -> list[Row]:
    outbound: dict[tuple[date, str], dict[str, list[Seen]]] = defaultdict(lambda: defaultdict(list))
    replies: dict[tuple[date, str, str], int] = defaultdict(int)
    for entry in seen:
        if entry.address is None:
            continue
        month = entry.local.date().replace(day=1)
        if entry.direction == "outbound":
            outbound[month, entry.account_sid][entry.address].append(entry)
        elif entry.direction == "inbound":
            replies[month, entry.account_sid, entry.address] += 1
    rows = []
    for (month, account_sid), by_address in sorted(outbound.items()):
        ranking = sorted(by_address.items(), key=lambda item: (-len(item[1]), item[0].encode()))
        for rank, (address, group) in enumerate(ranking[:_TOP], start=1):
            rows.append(
                {
                    "month": month,
                    "account_sid": account_sid,
                    "recipient_rank": rank,
                    "recipient": address,
                    "country": max((e.message.country for e in group if e.message.country),
                                   default=None),
                    "message_count": len(group),
                    "delivered_count": sum(entry.has_arrived for entry in group),
                    "failed_count": sum(entry.has_failed for entry in group),
                    "message_cost": _cost(group),
                    "reply_count": replies[month, account_sid, address],
                    "currency": _currency(group),
                    "last_message_at": max(entry.at for entry in group),
                }
            )  # fmt: skip
    return rows


def _outcomes(group: list[Seen]) -> dict[str, int]:
    tried = sum(entry.is_tried for entry in group)
    arrived = sum(entry.has_arrived for entry in group)
    failed = sum(entry.has_failed for entry in group)
    return {
        "attempted_count": tried,
        "delivered_count": arrived,
        "failed_count": failed,
        "unconfirmed_count": tried - arrived - failed,
    }


def _cost(group: list[Seen]) -> Decimal | None:
    prices = [entry.state.price for entry in group if entry.state.price is not None]
    return -_money(sum(prices)) if prices else None


def _currency(group: list[Seen]) -> str | None:
    return max((e.state.currency for e in group if e.state.currency), default=None)


def _money(millionths: int) -> Decimal:
    return (Decimal(millionths) / MICRO).quantize(Decimal("0.000001"))


def _offset(local: datetime) -> str:
    text = f"{local:%z}"
    return f"{text[:3]}:{text[3:5]}"


def _utc(instant: int) -> datetime:
    return datetime.fromtimestamp(instant, UTC)
