"""What the page selects from, against the same figures worked out in Python from a lake's rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.sql.conftest import TIMEZONE, Build, LakeRows
from tests.sql.lake_rows import LAST_RUN, at, message, priced, read, usage

pytestmark = pytest.mark.xdist_group("sql-page")

ACCOUNTS = ("AC1", "AC2")
SCOPES = {"AC1": {"AC1"}, "AC2": {"AC2"}, "all": set(ACCOUNTS)}
FIRST_DAY = date(2026, 7, 20)
OWN = ("+34910000000", "+34910000001")
Row = dict[str, Any]


def a_message(number: int, random: Random) -> Row:
    """Any message."""
    seconds = random.randrange(int((LAST_RUN - datetime(2026, 7, 20, tzinfo=LAST_RUN.tzinfo))
                                   .total_seconds()))  # fmt: skip
    created_at = LAST_RUN - timedelta(seconds=seconds + 20)
    status = random.choice(("delivered", "delivered", "delivered", "read", "sent", "failed",
                            "undelivered", "queued", "scheduled", "received"))  # fmt: skip
    address = f"+3460000000{random.randrange(30):02d}"
    if random.random() < 0.4:
        address = f"whatsapp:{address}"
    own = random.choice(OWN)
    is_inbound = status == "received"
    values: Row = {
        "account_sid": random.choice(ACCOUNTS),
        "direction": "inbound" if is_inbound else "outbound-api",
        "sender": address if is_inbound else own,
        "recipient": own if is_inbound else address,
        "country": random.choice(("ES", "MX", None)),
        "messaging_service_sid": random.choice((None, "MG1", "MG2")),
        "created_at": created_at,
        "sent_at": created_at + timedelta(seconds=random.randrange(12)),
        "segment_count": random.randrange(1, 4),
        "error_code": random.choice((30003, 30007, None)) if status[-2:] == "ed" else None,
        "is_opt_out_request": is_inbound and random.random() < 0.1,
    }
    if status in ("queued", "scheduled"):
        values["sent_at"] = None
    if random.random() < 0.8:
        values |= priced(f"-{random.randrange(1, 9) / 1000}")
    return message(number, "2026-01-01", status, **values)


RANDOM = Random(20)
MESSAGES = [a_message(number, RANDOM) for number in range(500)]
USAGE = [
    usage(f"{FIRST_DAY + timedelta(days=day)}", category, f"{RANDOM.randrange(1, 100) / 100}",
          account_sid=account_sid, event_count=day % 4)
    for day in range((LAST_RUN.date() - FIRST_DAY).days + 1)
    for account_sid in ACCOUNTS
    for category in ("totalprice", "sms", "phonenumbers")
]  # fmt: skip
LAKE: LakeRows = {
    "messages": MESSAGES,
    "usage_records": USAGE,
    "extractions": [
        read(dataset, "2026-07-20 00:00", "2026-11-10 06:00", account_sid=account_sid)
        for dataset in ("messages", "unsent_messages", "usage_records")
        for account_sid in ACCOUNTS
    ]
    + [
        read("messages", "2026-11-10 00:00", "2026-11-10 06:00", outcome="denied",
             account_sid=account_sid)
        for account_sid in ("AC2", "AC3")
    ],
    "accounts": [
        {"account_sid": account_sid, "name": name, "owner_account_sid": "AC2", "status": status,
         "created_at": at("2025-01-01 00:00")}
        for account_sid, name, status in (
            ("AC1", "Branch", "active"), ("AC2", "Shop", "active"), ("AC3", "Attic", "closed"),
        )
    ],
    "rejects": [{"dataset": "messages"}, {"dataset": "accounts"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def build(new_build: Callable[[], Build]) -> Build:
    """The lake above, built; `other` falls below zero, as parts and total are drawn apart."""
    made = new_build()
    made.update(LAKE, warns={"assert_other_is_not_negative"})
    return made


def local(entry: Row) -> datetime:
    """When it was sent, else created, in the report time zone."""
    return (entry["sent_at"] or entry["created_at"]).astimezone(ZoneInfo(TIMEZONE))


def periods_of(day: date) -> Iterator[str]:
    """The periods of the page that a day belongs to."""
    yield "all"
    yield f"{day:%Y-%m}"
    for days in (7, 30, 90):
        if day > LAST_RUN.date() - timedelta(days=days):
            yield f"last_{days}_days"


def by_period_and_scope(rows: list[Row], day_of: Callable[[Row], date]) -> Iterator[Any]:
    """Each row with every period and scope it counts in."""
    for entry in rows:
        for period in periods_of(day_of(entry)):
            for scope, accounts in SCOPES.items():
                if entry["account_sid"] in accounts:
                    yield (period, scope), entry


def is_attempted(entry: Row) -> bool:
    return entry["direction"] != "inbound" and entry["status"] != "scheduled"


def outcomes(entries: list[Row]) -> tuple[int, int, int, int]:
    """Messages, and of these attempted, delivered and failed."""
    return (
        len(entries),
        sum(is_attempted(entry) for entry in entries),
        sum(entry["status"] in ("delivered", "read") for entry in entries),
        sum(entry["status"] in ("failed", "undelivered") for entry in entries),
    )


def cost(entries: list[Row]) -> Decimal | None:
    """What messages cost, as far as known."""
    prices = [-entry["price"] for entry in entries if "price" in entry]
    return sum(prices, Decimal(0)) if prices else None


MEMBER_OF: dict[str, Callable[[Row], Any]] = {
    "channel": lambda row: "whatsapp" if "whatsapp" in row["sender"] + row["recipient"] else "sms",
    "country": lambda row: row["country"],
    "sender": lambda row: row["recipient" if row["direction"] == "inbound" else "sender"],
    "messaging_service": lambda row: row["messaging_service_sid"],
}


@pytest.mark.parametrize("dimension", MEMBER_OF)
def test_groups(build: Build, dimension: str) -> None:
    expected: dict[Any, list[Row]] = defaultdict(list)
    for key, entry in by_period_and_scope(MESSAGES, lambda row: local(row).date()):
        expected[(*key, MEMBER_OF[dimension](entry))].append(entry)
    rows = build.query(
        "select page_period, account_sid, member, message_count, attempted_count, "
        "delivered_count, failed_count, message_cost, unpriced_count, inbound_count, "
        f"delivery_rate from marts.page_groups where dimension = '{dimension}'"
    )
    assert {row[:3]: row[3:] for row in rows} == {
        key: (
            *outcomes(entries),
            cost(entries),
            sum("price" not in entry for entry in entries),
            sum(entry["direction"] == "inbound" for entry in entries),
            outcomes(entries)[2] / outcomes(entries)[1] if outcomes(entries)[1] else None,
        )
        for key, entries in expected.items()
    }
    assert len(rows) == len(expected) > 20


def test_hours(build: Build) -> None:
    attempted, delivered = Counter[Any](), Counter[Any]()
    for key, entry in by_period_and_scope(MESSAGES, lambda row: local(row).date()):
        if is_attempted(entry):
            cell = (*key, local(entry).isoweekday(), local(entry).hour)
            attempted[cell] += 1
            delivered[cell] += entry["status"] in ("delivered", "read")
    rows = build.query("from marts.page_hours")
    assert {row[:4]: row[4:] for row in rows} == {
        cell: (count, delivered[cell], delivered[cell] / count) for cell, count in attempted.items()
    }
    assert len(rows) == len(attempted)


def test_errors(build: Build) -> None:
    attempted, with_code = Counter[Any](), Counter[Any]()
    for key, entry in by_period_and_scope(MESSAGES, lambda row: local(row).date()):
        if is_attempted(entry):
            attempted[key] += 1
            has_failed = entry["status"] in ("failed", "undelivered")
            if has_failed or entry["error_code"] is not None:
                with_code[(*key, entry["error_code"] or 0)] += 1
    rows = build.query(
        "select page_period, account_sid, error_code, message_count, share_of_attempted, url "
        "from marts.page_errors"
    )
    assert {row[:3]: row[3:] for row in rows} == {
        key: (
            count,
            count / attempted[key[:2]],
            f"https://www.twilio.com/docs/api/errors/{key[2]}" if key[2] else None,
        )
        for key, count in with_code.items()
    }


def test_recipients(build: Build) -> None:
    to, replies = defaultdict(list), Counter[Any]()
    for key, entry in by_period_and_scope(MESSAGES, lambda row: local(row).date()):
        if entry["direction"] == "inbound":
            replies[(*key, entry["sender"].removeprefix("whatsapp:"))] += 1
        else:
            to[(*key, entry["recipient"].removeprefix("whatsapp:"))].append(entry)
    expected = {}
    for period, scope in {key[:2] for key in to}:
        ranking = sorted(
            (item for item in to.items() if item[0][:2] == (period, scope)),
            key=lambda item: (-len(item[1]), item[0][2]),
        )
        for rank, ((_, _, address), entries) in enumerate(ranking[:20], start=1):
            expected[period, scope, rank] = (
                address,
                len(entries),
                *outcomes(entries)[2:],
                cost(entries),
                replies[period, scope, address],
                max(local(entry) for entry in entries).astimezone(LAST_RUN.tzinfo)
                .replace(tzinfo=None),
            )  # fmt: skip
    rows = build.query(
        "select page_period, account_sid, recipient_rank, recipient, message_count, "
        "delivered_count, failed_count, message_cost, reply_count, last_message_at "
        "from marts.page_recipients"
    )
    assert {row[:3]: row[3:] for row in rows} == expected
    assert len(rows) == len(expected)


Sent = list[tuple[str, str, str, int]]  # account, day, recipient, number of messages


def twenty(account_sid: str, day: str, name: str, count: int, count_of_ten: int = 0) -> Sent:
    """So many messages to each of twenty, or more to each of the first ten."""
    return [
        (account_sid, day, f"{name} {number:02d}", max(count, count_of_ten * (number < 10)))
        for number in range(20)
    ]


def build_of(sent: Sent, new_build: Callable[[], Build]) -> Build:
    messages = [
        message(number, day, "delivered", account_sid=account_sid, recipient=recipient)
        for number, (account_sid, day, recipient, _) in enumerate(
            entry for entry in sent for _ in range(entry[3])
        )
    ]
    of_two = {
        name: [row for row in LAKE[name] if row["account_sid"] in ACCOUNTS]
        for name in ("extractions", "accounts")
    }
    build = new_build()
    build.update({"messages": messages, **of_two})
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


def test_categories(build: Build) -> None:
    expected: dict[Any, Decimal] = defaultdict(Decimal)
    for key, entry in by_period_and_scope(USAGE, lambda row: row["usage_date"]):
        if entry["category"] == "totalprice":
            expected[(*key, "other")] += entry["cost"]
        else:
            expected[(*key, entry["category"])] += entry["cost"]
            expected[(*key, "other")] -= entry["cost"]
    rows = build.query(
        "select page_period, account_sid, cost_category, cost from marts.page_categories"
    )
    assert {row[:3]: row[3] for row in rows} == expected


def test_kpis_of_any_period(build: Build) -> None:
    entries: dict[Any, list[Row]] = defaultdict(list)
    for key, entry in by_period_and_scope(MESSAGES, lambda row: local(row).date()):
        entries[key].append(entry)
    totals: dict[Any, Decimal] = defaultdict(Decimal)
    for key, entry in by_period_and_scope(USAGE, lambda row: row["usage_date"]):
        if entry["category"] == "totalprice":
            totals[key] += entry["cost"]
    values = {
        (period, scope, kpi): value
        for period, scope, kpi, value in build.query(
            "select page_period, account_sid, kpi, value from marts.page_kpis"
        )
    }
    for (period, scope), group in entries.items():
        _, attempted, delivered, failed = outcomes(group)
        delays = sorted(
            (entry["sent_at"] - entry["created_at"]).total_seconds()
            for entry in group
            if is_attempted(entry) and entry["sent_at"]
        )
        position = (len(delays) - 1) * 0.95
        below = delays[int(position)]
        above = delays[min(int(position) + 1, len(delays) - 1)]
        expected = {
            "messages_sent": attempted,
            "delivery_rate": delivered / attempted,
            "error_rate": failed / attempted,
            "blocked_rate": sum(
                is_attempted(entry) and entry["error_code"] == 30007 for entry in group
            )
            / attempted,
            "opt_out_count": sum(entry["is_opt_out_request"] for entry in group),
            "seconds_to_send_p95": below + position % 1 * (above - below),
            "total_cost": float(totals[period, scope]),
        }
        for kpi, value in expected.items():
            assert values[period, scope, kpi] == pytest.approx(value), (period, scope, kpi)
    assert len(entries) == 3 * 9


def test_the_period_before_is_as_long_and_the_month_before_the_months(build: Build) -> None:
    sent = Counter(local(entry).date() for entry in MESSAGES if is_attempted(entry))
    today = LAST_RUN.date()

    def between(first: date, last: date) -> int:
        return sum(count for day, count in sent.items() if first <= day <= last)

    rows = build.query(
        "select page_period, value, previous_value, change from marts.page_kpis "
        "where kpi = 'messages_sent' and account_sid = 'all'"
    )
    found = {period: tuple(values) for period, *values in rows}
    week = between(today - timedelta(days=6), today)
    week_before = between(today - timedelta(days=13), today - timedelta(days=7))
    assert found["last_7_days"] == (week, week_before, pytest.approx(week / week_before - 1))
    october = between(date(2026, 10, 1), date(2026, 10, 31))
    september = between(date(2026, 9, 1), date(2026, 9, 30))
    assert found["2026-10"] == (october, september, pytest.approx(october / september - 1))
    assert found["all"][1:] == (None, None)
    # What comes before these was not read from its first day on.
    assert found["2026-08"][0] > 0
    assert found["2026-08"][1:] == found["last_90_days"][1:] == (None, None)


def test_periods_are_listed_in_order_with_their_days(build: Build) -> None:
    assert build.query(
        "select page_period, start_date, end_date from marts.page_periods order by position"
    ) == [
        ("last_7_days", date(2026, 11, 4), date(2026, 11, 11)),
        ("last_30_days", date(2026, 10, 12), date(2026, 11, 11)),
        ("last_90_days", date(2026, 8, 13), date(2026, 11, 11)),
        ("2026-11", date(2026, 11, 1), date(2026, 12, 1)),
        ("2026-10", date(2026, 10, 1), date(2026, 11, 1)),
        ("2026-09", date(2026, 9, 1), date(2026, 10, 1)),
        ("2026-08", date(2026, 8, 1), date(2026, 9, 1)),
        ("2026-07", date(2026, 7, 1), date(2026, 8, 1)),
        ("all", date(2026, 7, 20), date(2026, 11, 11)),
    ]


def test_days_add_up_to_the_period(build: Build) -> None:
    days = build.query(
        "select count(*), sum(message_count), sum(attempted_count), sum(inbound_count), "
        "sum(delivered_count) from marts.page_days where calendar = 'local' "
        "and account_sid = 'all' and figure_date >= '2026-10-12'"
    )
    late = [entry for entry in MESSAGES if local(entry).date() >= date(2026, 10, 12)]
    count, attempted, delivered, _ = outcomes(late)
    inbound = sum(entry["direction"] == "inbound" for entry in late)
    # A day for each, messages or not.
    assert days == [(30, count, attempted, inbound, delivered)]
    assert build.query(
        "select sum(message_count), sum(attempted_count), sum(delivered_count) "
        "from marts.page_channel_days where account_sid = 'all' and message_date >= '2026-10-12'"
    ) == [(count, attempted, delivered)]


# From the best to the worst: what all accounts are together is the worst of them.
STATES = ("complete", "over", "short", "no usage", "not extracted")


def test_completeness(build: Build) -> None:
    states: dict[Any, str] = {}
    for day, account_sid, group, state in build.query(
        "select usage_date, account_sid, channel_group, state from reports.completeness"
    ):
        for scope, accounts in SCOPES.items():
            if account_sid in accounts:
                key = (day, scope, group)
                states[key] = max(states.get(key, state), state, key=STATES.index)
    days = build.query("from marts.page_completeness_days")
    assert {row[:3]: row[3] for row in days} == states
    assert len(days) == len(states)
    assert len(set(states.values())) >= 3
    expected = Counter(
        (period, scope, group, state)
        for (day, scope, group), state in states.items()
        for period in periods_of(day)
    )
    counts = build.query("from marts.page_completeness")
    assert {row[:4]: row[4] for row in counts} == expected
    assert len(counts) == len(expected)


def test_freshness(build: Build) -> None:
    start = at("2026-07-20 00:00")
    branch = ("AC1", "Branch", "active", start, LAST_RUN, LAST_RUN, LAST_RUN, "ok")
    shop = ("AC2", "Shop", "active", start, LAST_RUN, LAST_RUN, LAST_RUN, "denied")
    # It is closed and never gave a figure: no choice of its own, but told of with all.
    attic = ("AC3", "Attic", "closed", None, None, None, None, "denied")
    assert build.query("from marts.page_freshness order by scope, position") == [
        ("AC1", *branch, 1),
        ("AC2", *shop, 1),
        ("all", *shop, 1),
        ("all", *attic, 2),
        ("all", *branch, 3),
    ]


def test_what_can_be_chosen_and_the_run(build: Build) -> None:
    assert build.query("from marts.page_scopes order by position") == [
        ("all", "USD", True, True, 2, None, 1),
        ("AC2", "USD", False, False, 1, "Shop", 2),
        ("AC1", "USD", False, False, 1, "Branch", 3),
    ]
    today = LAST_RUN.date()
    assert build.query("from marts.page_run") == [(f"{LAST_RUN}", LAST_RUN, today, today, 2)]
