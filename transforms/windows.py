"""Stretches of time to ask Twilio about, in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta


@dataclass(frozen=True, order=True)
class Window:
    """What one dataset is asked for: one account, from `start` until `end` (exclusive), UTC."""

    dataset: str
    account_sid: str
    start: datetime
    end: datetime

    @property
    def label(self) -> str:
        """What an operator calls it: the day, the month or the span of days."""
        last = (self.end - timedelta(microseconds=1)).date()
        first = self.start.date()
        return f"{first}" if last <= first else f"{first}..{last}"


def midnight(day: date) -> datetime:
    """The first instant of a UTC day."""
    return datetime.combine(day, time(), UTC)


def split_days(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The UTC days from start until end, the first and last cut short where they must be."""
    while start < end:
        until = min(midnight(start.date() + timedelta(days=1)), end)
        yield start, until
        start = until


def split_months(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The UTC months from start until end, the first and last cut short where they must be."""
    while start < end:
        until = min(first_of_next_month(start), end)
        yield start, until
        start = until


def first_of_month(instant: datetime) -> datetime:
    """The first instant of an instant's UTC month."""
    return midnight(instant.date().replace(day=1))


def first_of_next_month(instant: datetime) -> datetime:
    """The first instant of the UTC month after an instant's."""
    return first_of_month(first_of_month(instant) + timedelta(days=32))
