"""Who got most in the last days and of all time: few recipients are added up to know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from tests.sql.conftest import Build
from tests.sql.lake_rows import at, message, read

pytestmark = pytest.mark.xdist_group("sql-recent-winners")

ACCOUNTS = ("AC1", "AC2")
Sent = list[tuple[str, str, str, int]]  # account, day, recipient, number of messages


def twenty(account_sid: str, day: str, name: str, count: int, count_of_ten: int = 0) -> Sent:
    """So many messages to each of twenty, or more to each of the first ten."""
    return [
        (account_sid, day, f"{name} {number:02d}", max(count, count_of_ten * (number < 10)))
        for number in range(20)
    ]


def build_of(
    sent: Sent, new_build: Callable[[], Build], others: Iterable[dict[str, Any]] = ()
) -> Build:
    messages = [*others] + [
        message(number, day, "delivered", account_sid=account_sid, recipient=recipient)
        for number, (account_sid, day, recipient, _) in enumerate(
            entry for entry in sent for _ in range(entry[3])
        )
    ]
    ledger = [
        read(dataset, "2026-06-01 00:00", "2026-11-10 06:00", account_sid=account_sid)
        for dataset in ("messages", "unsent_messages")
        for account_sid in ACCOUNTS
    ]
    build = new_build()
    build.update({"messages": messages, "extractions": ledger})
    return build


def first_of(build: Build, period: str, scope: str) -> list[tuple[str, int]]:
    """Recipients and their numbers of messages, as they are on the page of a period."""
    return build.query(
        "select recipient, message_count from marts.page_recipients "
        f"where page_period = '{period}' and account_sid = '{scope}' order by recipient_rank"
    )


def test_who_is_first_of_days_need_not_be_first_of_a_month(
    new_build: Callable[[], Build],
) -> None:
    """Only some recipients are added up over days and months; none that could win is left out."""
    sent = [
        *twenty("AC1", "2026-07-25", "ancient", 150),
        *twenty("AC1", "2026-08-20", "old", 16), *twenty("AC2", "2026-08-20", "older", 16),
        *twenty("AC1", "2026-09-20", "autumn", 15), *twenty("AC2", "2026-09-20", "fall", 15),
        *twenty("AC1", "2026-10-20", "regular", 8, 12), *twenty("AC2", "2026-10-20", "other", 3),
        *twenty("AC1", "2026-11-06", "new", 8), *twenty("AC2", "2026-11-06", "newer", 8),
    ]  # fmt: skip
    # Twenty are before it in each month and account. In the 30 days it has as many as the last
    # of the first twenty, and no more than their average anywhere.
    for account_sid in ACCOUNTS:
        sent += [(account_sid, day, "everywhere", 2) for day in ("2026-10-21", "2026-11-01")]
    build = build_of(sent, new_build)

    days_30 = first_of(build, "last_30_days", "all")
    assert days_30[:10] == [(f"regular {number:02d}", 12) for number in range(10)]
    assert days_30[10:12] == [("everywhere", 8), ("new 00", 8)]
    assert first_of(build, "last_90_days", "all") == [
        (f"old {number:02d}", 16) for number in range(20)
    ]
    assert first_of(build, "all", "all") == [(f"ancient {number:02d}", 150) for number in range(20)]


def test_who_is_first_of_a_week_may_be_among_the_last_of_each_day(
    new_build: Callable[[], Build],
) -> None:
    sent = [
        *twenty("AC1", "2026-10-20", "regular", 40), *twenty("AC2", "2026-10-20", "other", 40),
        *twenty("AC1", "2026-11-06", "new", 14), *twenty("AC2", "2026-11-06", "newer", 14),
    ]  # fmt: skip
    # It has as many, and on no day and in no month more than their average.
    for day in range(4, 11):
        sent += [(account_sid, f"2026-11-{day:02d}", "daily", 1) for account_sid in ACCOUNTS]
    assert first_of(build_of(sent, new_build), "last_7_days", "all") == [
        ("daily", 14),
        *((f"new {number:02d}", 14) for number in range(19)),
    ]


def test_what_was_sent_of_late_counts_once_among_all(new_build: Callable[[], Build]) -> None:
    """It is on a month's list and in the last 30 days: who got more elsewhere is not left out."""
    sent = [
        *twenty("AC1", "2026-07-01", "ancient", 40), *twenty("AC1", "2026-10-20", "late", 12),
        *twenty("AC2", "2026-10-20", "other", 70),
        ("AC1", "2026-08-20", "before", 7), ("AC1", "2026-09-05", "before", 6),
    ]  # fmt: skip
    assert first_of(build_of(sent, new_build), "last_90_days", "AC1")[:2] == [
        ("before", 13), ("late 00", 12),
    ]  # fmt: skip

    sent = [
        *twenty("AC1", "2026-11-06", "late", 8), *twenty("AC2", "2026-11-06", "other", 50),
        ("AC1", "2026-07-20", "before", 5), ("AC1", "2026-06-20", "before", 4),
    ]  # fmt: skip
    assert first_of(build_of(sent, new_build), "all", "AC1")[:2] == [("before", 9), ("late 00", 8)]


def test_of_few_in_the_last_days_who_is_on_no_list_is_one_of_the_first(
    new_build: Callable[[], Build],
) -> None:
    sent = [("AC1", "2026-11-01", f"listed {number:03d}", 4) for number in range(100)]
    sent += [("AC1", "2026-11-06", "listed 000", 20), ("AC1", "2026-11-07", "rare", 1)]
    assert first_of(build_of(sent, new_build), "last_7_days", "AC1") == [
        ("listed 000", 20), ("rare", 1),
    ]  # fmt: skip


def test_of_few_recipients_in_the_last_days_each_is_one_of_the_first(
    new_build: Callable[[], Build],
) -> None:
    sent = [*twenty("AC1", "2026-11-02", "quiet", 4), ("AC1", "2026-11-06", "quiet 00", 5),
            ("AC1", "2026-11-07", "rare", 1)]  # fmt: skip
    assert first_of(build_of(sent, new_build), "last_7_days", "AC1") == [
        ("quiet 00", 5),
        ("rare", 1),
    ]


@pytest.mark.parametrize(
    ("last_run", "last_day"),
    [
        ("2026-11-10 23:30", "2026-11-11"),  # half past midnight in Madrid
        ("2026-10-31 12:00", "2026-10-31"),  # the next day is of another month
    ],
)
def test_the_last_days_end_with_the_last_runs_day(
    last_run: str, last_day: str, new_build: Callable[[], Build]
) -> None:
    edges = [1, 0, *(n for length in (7, 30, 90) for n in (1 - length, -length))]
    days = {n: date.fromisoformat(last_day) + timedelta(days=n) for n in edges}
    ledger = [
        read(dataset, "2026-07-20 00:00", last_run, at(last_run))
        for dataset in ("messages", "unsent_messages")
    ]
    messages = [message(n, f"{day} 12:00", "sent", recipient=f"{n}") for n, day in days.items()]
    build = new_build()
    build.update({"messages": messages, "extractions": ledger})

    for length in (7, 30, 90):
        found = {int(recipient) for recipient, _ in first_of(build, f"last_{length}_days", "AC1")}
        assert found == {n for n in edges if -length < n <= 0}
    assert {int(recipient) for recipient, _ in first_of(build, "all", "AC1")} == set(edges)


def test_of_many_recipients_one_may_win_by_what_no_list_says(
    new_build: Callable[[], Build],
) -> None:
    """Leaders are looked at; what anybody else got is known to be at most the cutoff."""
    sent = [*twenty("AC1", "2026-09-20", "big", 27)]
    for month in ("09", "10"):
        sent += [
            ("AC1", f"2026-{month}-10", f"crowd {month} {number:04d}", 2 if number < 2_600 else 1)
            for number in range(3_000)
        ]
    # No leader of October, but as many as the last of the first twenty.
    sent += [("AC1", "2026-09-20", "a near one", 26), ("AC1", "2026-10-10", "a near one", 1)]
    # Not among the thousand of the past.
    sent += [("AC1", "2026-09-10", "late", 2), ("AC1", "2026-10-20", "late", 26)]
    build = build_of(sent, new_build)

    assert build.query(
        "select distinct month::varchar, cutoff "
        "from unpublished.intermediate.int_monthly_leaders order by all"
    ) == [("2026-09-01", 2), ("2026-10-01", 2)]
    assert build.query(
        "select count(*), max(cutoff), bool_or(recipient = 'late') "
        "from unpublished.intermediate.int_past_leaders"
    ) == [(1000, 2, False)]
    assert first_of(build, "all", "AC1") == [
        ("late", 28),
        ("a near one", 27),
        *((f"big {number:02d}", 27) for number in range(18)),
    ]
    # Only those that may win are added up.
    assert build.query(
        "select count(*) from intermediate.int_recent_candidates where page_period = 'all'"
    ) == [(22,)]


def test_where_all_got_the_same_the_first_addresses_win_and_few_are_added_up(
    new_build: Callable[[], Build],
) -> None:
    sent = [
        ("AC1", f"2026-{month}-10", f"reader {number:04d}", 2)
        for month in ("09", "10")
        for number in range(3_000)
    ]
    build = build_of(sent, new_build)

    assert first_of(build, "all", "AC1") == [(f"reader {number:04d}", 4) for number in range(20)]
    assert first_of(build, "2026-10", "all") == [
        (f"reader {number:04d}", 2) for number in range(20)
    ]
    ((candidates,),) = build.query(
        "select count(*) from intermediate.int_recent_candidates where page_period = 'all'"
    )
    assert candidates < 2_500


@pytest.mark.parametrize(
    ("halves", "periods"),
    [
        ((("AC1", "2026-09-10"), ("AC1", "2026-10-10")), ("all", "last_90_days")),
        ((("AC1", "2026-10-10"), ("AC2", "2026-10-10")), ("all", "2026-10")),
    ],
)
def test_who_leads_nowhere_may_win_by_all(
    halves: tuple[tuple[str, str], ...], periods: tuple[str, ...], new_build: Callable[[], Build]
) -> None:
    """Where the cutoffs alone are enough, everybody is added up."""
    sent = [(*half, "steady", 3) for half in halves]
    for name, counts in (("first", (3, 1)), ("second", (1, 3))):
        sent += [
            (*half, f"{name} {number:04d}", of_half)
            for half, of_half in zip(halves, counts, strict=True)
            for number in range(1_900)
        ]
    build = build_of(sent, new_build)

    assert build.query(
        "select count(*) from unpublished.intermediate.int_monthly_leaders "
        "where recipient = 'steady'"
    ) == [(0,)]
    for period in periods:
        assert first_of(build, period, "all") == [
            ("steady", 6),
            *((f"first {number:04d}", 4) for number in range(19)),
        ]


def test_who_shares_a_number_with_another_is_not_left_out(new_build: Callable[[], Build]) -> None:
    """Of the past it is known of one of them that he got nothing from an account."""
    winner, other = "+34600006384", "+34600333890"
    numbers = duckdb.sql(
        "select (hash(unnest($addresses)) >> 32)::uinteger",
        params={"addresses": [winner, other]},
    ).fetchall()
    assert numbers[0] == numbers[1]
    sent = [("AC2", "2026-09-10", f"crowd {number:04d}", 5) for number in range(2_400)]
    sent += [("AC2", "2026-09-20", winner, 22), ("AC1", "2026-09-20", other, 1)]
    sent += [*twenty("AC2", "2026-10-20", "big", 20), *twenty("AC1", "2026-09-20", "small", 5)]
    reply = message(
        0, "2026-09-21", "received", account_sid="AC2", direction="inbound", sender=other
    )
    build = build_of(sent, new_build, [reply | {"message_sid": "SM reply"}])
    for scope in ("all", "AC2"):
        assert first_of(build, "all", scope)[:2] == [(winner, 22), ("big 00", 20)]
