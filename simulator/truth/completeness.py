"""Whether what is held is what Twilio counts, by UTC day, account and group of channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from simulator.observed import MESSAGES, USAGE
from simulator.truth.billed import MESSAGE_CATEGORIES, Billed, group_of
from simulator.truth.ledger import Ledger
from simulator.truth.seen import Seen
from simulator.truth.values import DAY, Row, days_from
from simulator.usage import Amounts

# Twilio counts one thing or the other: ours beside its own, in the order in which they are tried.
_UNITS = (
    ("messages", "count"),
    ("segments", "usage"),
    ("segments", "count"),
    ("messages", "usage"),
)


@dataclass
class _Counted:
    """What Twilio bills as sent or received."""

    messages: int = 0
    segments: int = 0


_Days = Mapping[date, _Counted]


def completeness(seen: Iterable[Seen], accounts: Mapping[str, Billed], ledger: Ledger) -> list[Row]:
    """A row for each day and group with messages or usage; what was not read is not zero."""
    counted: dict[str, dict[str, dict[date, _Counted]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(_Counted))
    )
    for entry in seen:
        if entry.state.sent is None or entry.state.status in ("failed", "canceled"):
            continue
        of_day = counted[entry.account_sid][group_of(entry.channel)][
            entry.at.astimezone(UTC).date()
        ]
        of_day.messages += 1
        of_day.segments += entry.state.segment_count or 0
    rows = []
    for account_sid in sorted(ledger.read_accounts() | ledger.refused_accounts()):
        billed = accounts.get(account_sid, Billed())
        for group, category in MESSAGE_CATEGORIES.items():
            days = counted[account_sid][group]
            usage = {
                day: found[category] for day, found in billed.days.items() if category in found
            }
            if days or usage:
                rows += _of_group(account_sid, group, dict(days), usage, ledger)
    return sorted(rows, key=lambda row: (row["usage_date"], row["account_sid"],
                                         row["channel_group"]))  # fmt: skip


def _of_group(
    account_sid: str,
    group: str,
    counted: _Days,
    usage: Mapping[date, Amounts],
    ledger: Ledger,
) -> list[Row]:
    first = ledger.first_day(account_sid)
    if first is None:
        return []
    read = ledger.covered_days(account_sid, MESSAGES)
    billed = ledger.covered_days(account_sid, USAGE)
    both = [day for day in counted if day in read & billed and day < ledger.today()]
    ours, theirs = _unit(counted, usage, both)
    last_reads = ledger.last_reads(account_sid, MESSAGES)
    rows: list[Row] = []
    for day in days_from(first, ledger.today() + DAY):
        is_read = day in read
        if is_read and day not in counted and day not in usage:
            continue
        held = counted.get(day, _Counted())
        count = getattr(usage.get(day, Amounts()), theirs) if day in billed else None
        difference = getattr(held, ours) - count if is_read and count is not None else None
        rows.append(
            {
                "usage_date": day,
                "account_sid": account_sid,
                "channel_group": group,
                "message_count": held.messages if is_read else None,
                "usage_count": count,
                "difference": difference,
                "last_extracted_at": _naive(last_reads, day),
                "state": _state(is_read, difference),
            }
        )
    return rows


def _unit(counted: _Days, usage: Mapping[date, Amounts], days: Iterable[date]) -> tuple[str, str]:
    """What to count of ours and of Twilio's: what agrees on most days."""
    days = list(days)

    def matches(unit: tuple[str, str]) -> int:
        ours, theirs = unit
        return sum(
            getattr(counted[day], ours) == getattr(usage.get(day, Amounts()), theirs)
            for day in days
        )

    return max(_UNITS, key=matches)  # of equal ones the first


def _state(is_read: bool, difference: int | None) -> str:
    if not is_read:
        return "not extracted"
    if difference is None:
        return "no usage"
    if difference == 0:
        return "complete"
    return "short" if difference < 0 else "over"


def _naive(last_reads: Mapping[date, datetime], day: date) -> datetime | None:
    """When a day was last read: UTC, and without saying so, as reports have instants."""
    at = last_reads.get(day)
    return None if at is None else at.astimezone(UTC).replace(tzinfo=None)
