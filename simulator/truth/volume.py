"""Messages and delivery by day and by hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from simulator.truth.ledger import Ledger
from simulator.truth.seen import Seen, currency_of, price_of
from simulator.truth.values import DAY, Row, midnight

_HOUR = timedelta(hours=1)


def daily_volume(seen: Iterable[Seen], zone: ZoneInfo, ledger: Ledger) -> list[Row]:
    """A row for each local day, account, channel and direction with a message."""
    groups: dict[tuple[date, str, str, str], list[Seen]] = defaultdict(list)
    for entry in seen:
        groups[entry.local.date(), entry.account_sid, entry.channel, entry.direction].append(entry)
    rows = []
    for (day, account_sid, channel, direction), group in sorted(groups.items()):
        first, end = midnight(day, zone), midnight(day + DAY, zone)
        rows.append(
            {
                "message_date": day,
                "account_sid": account_sid,
                "channel": channel,
                "direction": direction,
                "currency": currency_of(group),
                "message_count": len(group),
                "segment_count": sum(entry.state.segment_count for entry in group),
                "media_count": sum(entry.message.media_count for entry in group),
                **_outcomes(group),
                "message_cost": price_of(group),
                "unpriced_count": sum(entry.state.price is None for entry in group),
                "is_settled": ledger.is_complete(account_sid, first, end)
                and all(entry.is_settled for entry in group),
            }
        )
    return rows


def hourly_delivery_rate(seen: Iterable[Seen], ledger: Ledger) -> list[Row]:
    """A row for each local hour, offset, account and channel with an outbound message."""
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
                "is_settled": ledger.is_complete(account_sid, first, first + _HOUR)
                and all(entry.is_settled for entry in group),
            }
        )
    return rows


def _outcomes(group: Sequence[Seen]) -> dict[str, int]:
    tried = sum(entry.is_tried for entry in group)
    arrived = sum(entry.has_arrived for entry in group)
    failed = sum(entry.has_failed for entry in group)
    return {
        "attempted_count": tried,
        "delivered_count": arrived,
        "failed_count": failed,
        "unconfirmed_count": tried - arrived - failed,
    }


def _offset(local: datetime) -> str:
    text = f"{local:%z}"
    return f"{text[:3]}:{text[3:5]}"
