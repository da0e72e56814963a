"""What outbound messages failed of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date

from simulator.truth.seeds import ErrorTexts
from simulator.truth.seen import Seen
from simulator.truth.values import Row


def errors_by_code(seen: Iterable[Seen], texts: ErrorTexts) -> list[Row]:
    """A row for each local day, account, channel and code; 0: failed without one."""
    tried: Counter[tuple[date, str, str]] = Counter()
    codes: Counter[tuple[date, str, str, int]] = Counter()
    for entry in seen:
        if not entry.is_tried:
            continue
        key = entry.local.date(), entry.account_sid, entry.channel
        tried[key] += 1
        if entry.error_code is not None:
            codes[(*key, entry.error_code)] += 1
    rows = []
    for (day, account_sid, channel, code), count in sorted(codes.items()):
        text = texts.of(code)
        rows.append(
            {
                "message_date": day,
                "account_sid": account_sid,
                "channel": channel,
                "error_code": code,
                "message_count": count,
                "share_of_attempted": count / tried[day, account_sid, channel],
                "title": text.title,
                "cause": text.cause,
                "remedy": text.remedy,
                "is_blocked": text.is_blocked,
                "is_retryable": text.is_retryable,
            }
        )
    return rows
