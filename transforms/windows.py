"""Stretches of time to ask Twilio about, in UTC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

Span = tuple[datetime, datetime]  # from the first instant until the second, exclusive


@dataclass(frozen=True, order=True)
class Window:
    """What one dataset is asked for: one account, from `start` until `end` (exclusive), UTC.

    Attributes:
        message_sids: known messages of the window to ask for one by one; empty: its list.
        instants: when each of those was created.
    """

    dataset: str
    account_sid: str
    start: datetime
    end: datetime
    message_sids: tuple[str, ...] = ()
    instants: tuple[datetime, ...] = ()

    @property
    def label(self) -> str:
        """What an operator calls it: the day, the month or the span of days."""
        last = (self.end - timedelta(microseconds=1)).date()
        first = self.start.date()
        return f"{first}" if last <= first else f"{first}..{last}"


@dataclass(frozen=True)
class Planned:
    """One window with why it is read and how many requests it is expected to take (None: a
    first reading, nobody knows)."""

    window: Window
    reason: str
    requests: int | None


def midnight(day: date) -> datetime:
    """The first instant of a UTC day."""
    return datetime.combine(day, time(), UTC)


def split_days(start: datetime, end: datetime) -> Iterator[Span]:
    """The UTC days from start until end, the first and last cut short where they must be."""
    while start < end:
        until = min(midnight(start.date() + timedelta(days=1)), end)
        yield start, until
        start = until


def split_months(start: datetime, end: datetime) -> Iterator[Span]:
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


def join_spans(spans: Iterable[Span]) -> list[Span]:
    """The same time as few spans: those that touch or overlap become one, oldest first."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def subtract_spans(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """The time of `spans` that is in none of `taken`, oldest first."""
    left: list[Span] = []
    others = join_spans(taken)
    for start, end in join_spans(spans):
        for taken_start, taken_end in others:
            if taken_end <= start or end <= taken_start:
                continue
            if start < taken_start:
                left.append((start, taken_start))
            start = max(start, taken_end)
        if start < end:
            left.append((start, end))
    return left
