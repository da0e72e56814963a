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
