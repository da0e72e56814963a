"""What a list is asked for: the days and instants in its parameters."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import groupby
from typing import Any

from starlette.datastructures import QueryParams

from simulator.answers import RefusedError, missing


def sent_between(query: QueryParams) -> tuple[int | None, int | None]:
    """The bounds of a DateSent filter, both inclusive: the parameter's name carries `<` or `>`.

    A date alone means its first second, as bound; as `DateSent` it means the whole GMT day.
    """
    first = last = None
    if "DateSent>" in query:
        first, _ = _instant("DateSent>", query["DateSent>"])
    if "DateSent<" in query:
        last, _ = _instant("DateSent<", query["DateSent<"])
    if "DateSent" in query:
        instant, is_date = _instant("DateSent", query["DateSent"])
        day = instant if is_date else instant - instant % 86_400
        first, last = day, day + 86_399
    return first, last


def _instant(name: str, text: str) -> tuple[int, bool]:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return calendar.timegm(date.fromisoformat(text).timetuple()), True
        except ValueError:
            raise RefusedError(400, 20001, f"Invalid {name.rstrip('<>')}") from None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            instant = parse(text)
        except ValueError:
            continue
        aware = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
        return int(aware.timestamp()), False
    raise RefusedError(400, 20001, f"Invalid {name.rstrip('<>')}")


def usage_range(query: QueryParams, period: str, today: date, first_day: date) -> tuple[date, date]:
    """The first and the last day of a usage list."""
    first_of_month = today.replace(day=1)
    fixed = {
        "Today": (today, today),
        "Yesterday": (today - timedelta(days=1), today - timedelta(days=1)),
        "ThisMonth": (first_of_month, today),
        "LastMonth": (
            (first_of_month - timedelta(days=1)).replace(day=1),
            first_of_month - timedelta(days=1),
        ),
    }
    if period in fixed:
        return fixed[period]
    if period not in ("", "Daily", "Monthly", "Yearly", "AllTime"):
        raise missing(f"Usage/Records/{period}")
    first = _usage_date("StartDate", query.get("StartDate"), today, first_day)
    last = _usage_date("EndDate", query.get("EndDate"), today, today)
    return first, min(last, today)


def _usage_date(name: str, text: str | None, today: date, usual: date) -> date:
    if text is None:
        return usual
    offset = re.fullmatch(r"([+-]\d+)days?", text)
    if offset:
        return today + timedelta(days=int(offset[1]))
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError(400, 20001, f"Invalid {name}") from None


def spans(period: str, first: date, last: date) -> list[tuple[date, date]]:
    """The stretches a usage list has a row a category for, newest first."""
    if period not in ("Daily", "Monthly", "Yearly"):
        return [(first, last)]
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    keys: dict[str, Callable[[date], Any]] = {
        "Daily": lambda day: day,
        "Monthly": lambda day: (day.year, day.month),
        "Yearly": lambda day: day.year,
    }
    spans = []
    for _, group in groupby(days, keys[period]):
        members = list(group)
        spans.append((members[0], members[-1]))
    return spans[::-1]
