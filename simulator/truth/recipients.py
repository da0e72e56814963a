"""Who most messages went to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from simulator.truth.seen import Seen, currency_of, price_of
from simulator.truth.values import Row

_TOP = 100


def top_recipients(seen: Iterable[Seen]) -> list[Row]:
    """The hundred addresses of each local month and account that most messages went to."""
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
                    "message_cost": price_of(group),
                    "reply_count": replies[month, account_sid, address],
                    "currency": currency_of(group),
                    "last_message_at": max(entry.at for entry in group),
                }
            )  # fmt: skip
    return rows
