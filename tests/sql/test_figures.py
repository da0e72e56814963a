"""A lake made by hand: its reports by hand, and that a build of what changed equals a new one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.sql.conftest import Build
from tests.sql.lake_rows import ANA, BEA, EVA, LakeRows, at, message, priced, read, usage

pytestmark = pytest.mark.xdist_group("sql-figures")

MESSAGES = {
    row["message_sid"]: row
    for row in (
        message(1, "2026-10-25 00:30", "delivered", **priced("-0.0075")),
        message(2, "2026-10-25 01:30", "failed", recipient=f"whatsapp:{ANA}"),
        message(3, "2026-10-25 01:40", "received", direction="inbound", sender=ANA,
                recipient="+34910000000", **priced("-0.0079")),
        message(4, "2026-10-24 22:30", "scheduled", recipient=BEA, sent_at=None),
        message(5, "2026-10-31 23:30", "sent", recipient=BEA, segment_count=None, media_count=1,
                **priced("-0.01")),
        message(6, "2026-11-09 23:30", "read", recipient=EVA, **priced("-0.0075")),
    )
}  # fmt: skip
LAKE: LakeRows = {
    "messages": list(MESSAGES.values()),
    "extractions": [
        read("messages", "2026-10-24 00:00", "2026-11-10 00:00"),
        read("messages", "2026-11-10 00:00", "2026-11-10 06:00", outcome="empty"),
        read("messages", "2026-10-23 00:00", "2026-10-24 00:00", outcome="failed"),
        read("unsent_messages", "2026-10-24 00:00", "2026-11-10 06:00"),
        read("usage_records", "2026-10-01 00:00", "2026-11-01 00:00"),
        read("usage_records", "2026-11-01 00:00", "2026-11-10 00:00"),
    ],
    "usage_records": [
        usage("2026-10-30", "totalprice", "1.500001"),
        usage("2026-10-30", "sms", "1", usage_quantity=Decimal(100), usage_unit="segments"),
        usage("2026-10-30", "sms-outbound", "0.9"),
        usage("2026-10-31", "totalprice", "0.25"),
        usage("2026-10-31", "sms", "0.3", usage_quantity=Decimal(30), usage_unit="segments"),
        usage("2026-11-01", "totalprice", "0"),
    ],
}


@pytest.fixture(scope="module")
def build(new_build: Callable[[], Build]) -> Build:
    """The lake above, built."""
    made = new_build()
    made.update(LAKE)
    return made


def test_daily_volume(build: Build) -> None:
    october, november = date(2026, 10, 25), date(2026, 11, 1)
    assert build.query("from reports.daily_volume order by all") == [
        (october, "AC1", "sms", "inbound", "USD", 1, 1, 0, 0, 0, 0, 0, Decimal("0.0079"), 0, True),
        # One delivered, one scheduled: not attempted, not priced, and so not settled.
        (october, "AC1", "sms", "outbound", "USD", 2, 2, 0, 1, 1, 0, 0, Decimal("0.0075"), 1,
         False),
        (october, "AC1", "whatsapp", "outbound", None, 1, 1, 0, 1, 0, 1, 0, None, 1, True),
        (november, "AC1", "mms", "outbound", "USD", 1, 0, 1, 1, 0, 0, 1, Decimal("0.01"), 0, True),
        # The last day is not over.
        (date(2026, 11, 10), "AC1", "sms", "outbound", "USD", 1, 1, 0, 1, 1, 0, 0,
         Decimal("0.0075"), 0, False),
    ]  # fmt: skip


def test_hourly_delivery_rate(build: Build) -> None:
    twice = datetime(2026, 10, 25, 2)
    assert build.query("from reports.hourly_delivery_rate order by all") == [
        (datetime(2026, 10, 25), "+02:00", "AC1", "sms", 0, 0, 0, 0, None, None, False),
        (twice, "+01:00", "AC1", "whatsapp", 1, 0, 1, 0, 0.0, 0.0, True),
        (twice, "+02:00", "AC1", "sms", 1, 1, 0, 0, 1.0, 1.0, True),
        (datetime(2026, 11, 1), "+01:00", "AC1", "mms", 1, 0, 0, 1, 0.0, None, True),
        # This hour is over, its day is not.
        (datetime(2026, 11, 10), "+01:00", "AC1", "sms", 1, 1, 0, 0, 1.0, 1.0, True),
    ]


def test_monthly_cost(build: Build) -> None:
    october, november = date(2026, 10, 1), date(2026, 11, 1)
    assert build.query("from reports.monthly_cost order by all") == [
        (october, "AC1", "other", "USD", None, None, Decimal("0.450001"), True),
        (october, "AC1", "sms", "USD", Decimal(130), "segments", Decimal("1.3"), True),
        (november, "AC1", "other", "USD", None, None, Decimal(0), False),
    ]


def test_top_recipients(build: Build) -> None:
    october, november = date(2026, 10, 1), date(2026, 11, 1)
    assert build.query("from reports.top_recipients order by all") == [
        # All channels together.
        (october, "AC1", 1, ANA, "ES", 2, 1, 1, Decimal("0.0075"), 1, "USD",
         datetime(2026, 10, 25, 1, 30)),
        (october, "AC1", 2, BEA, "ES", 1, 0, 0, None, 0, None, datetime(2026, 10, 24, 22, 30)),
        (november, "AC1", 1, BEA, "ES", 1, 0, 0, Decimal("0.01"), 0, "USD",
         datetime(2026, 10, 31, 23, 30)),
        (november, "AC1", 2, EVA, "ES", 1, 1, 0, Decimal("0.0075"), 0, "USD",
         datetime(2026, 11, 9, 23, 30)),
    ]  # fmt: skip


def test_a_recipient_has_an_address_and_was_written_to_or_wrote(
    new_build: Callable[[], Build],
) -> None:
    noon = "2026-11-09 12:00"
    build = new_build()
    build.update(
        {
            "messages": [
                message(1, noon, "failed", recipient=None),
                message(2, noon, "sent", recipient="whatsapp:"),
                message(3, noon, "received", direction="inbound", sender=None),
                message(4, noon, "sent", direction="sideways", recipient=BEA),
                message(5, noon, "received", direction="inbound", sender=ANA),
                message(6, noon, "sent", recipient=EVA),
                message(7, noon, "sent", direction="sideways", recipient=EVA, **priced("-1")),
            ]
        }
    )
    assert build.query(
        "select recipient, message_count, reply_count, message_cost "
        "from unpublished.intermediate.int_daily_recipients order by all"
    ) == [(ANA, 0, 1, None), (EVA, 1, 0, None)]


def test_a_build_of_what_changed_equals_a_new_one(new_build: Callable[[], Build]) -> None:
    first = {
        **MESSAGES,
        "SM7": message(7, "2026-10-28 10:00", "queued", recipient=EVA, sent_at=None),
        "SM8": message(8, "2026-11-05 20:00", "failed"),
        "SM9": message(9, "2026-10-20 10:00", "delivered", **priced("-0.0075")),
        "SM10": message(10, "2026-09-20 10:00", "delivered", **priced("-0.0075")),
    }
    first_ledger = [
        read("messages", "2026-09-01 00:00", "2026-11-05 00:00"),
        # An hour of failing is too short for a message to be settled.
        read("messages", "2026-11-05 00:00", "2026-11-06 00:00", at("2026-11-06 00:30")),
        read("messages", "2026-11-06 00:00", "2026-11-10 06:00"),
        read("unsent_messages", "2026-09-01 00:00", "2026-11-10 06:00"),
    ]
    then = {
        **first,
        # A status and a price arrive.
        "SM5": {**first["SM5"], "status": "delivered"},
        "SM2": {**first["SM2"], "price": Decimal("-0.0042"), "currency": "USD"},
        # Two are sent at last: one leaves a day, one leaves a day empty.
        "SM4": {**first["SM4"], "status": "sent", "sent_at": at("2026-11-03 10:00")},
        "SM7": {**first["SM7"], "status": "delivered", "sent_at": at("2026-11-03 10:05")},
        "SM11": message(11, "2026-11-10 10:00", "queued", recipient=EVA, sent_at=None),
    }
    then_ledger = [
        *first_ledger,
        # No message of this day changes, but it is settled now.
        read("messages", "2026-11-05 00:00", "2026-11-06 00:00", at("2026-11-11 06:00")),
        read("messages", "2026-11-10 00:00", "2026-11-11 00:00", at("2026-11-11 06:00")),
    ]
    followed, anew = new_build(), new_build()
    followed.update({**LAKE, "messages": list(first.values()), "extractions": first_ledger})
    before = followed.tables()
    # What did not change is not computed again: a wrong figure there would stay.
    followed.query(
        "update marts.hourly_messages set segment_count = 77 where message_date = '2026-10-20'"
    )
    # Nor is a day that was only read again, but for what is settled.
    followed.query(
        "update marts.daily_errors set failed_count = 66 where message_date = '2026-11-05'"
    )
    followed.query("update reports.top_recipients set country = 'XX' where month = '2026-09-01'")
    followed.query("update intermediate.int_monthly_winners set country = 'YY' "
                   "where month = '2026-09-01'")  # fmt: skip
    followed.query("update intermediate.int_period_delays set seconds_to_send_p95 = 55 "
                   "where period_start in ('2026-09-01', '2026-10-20')")  # fmt: skip

    lake = {**LAKE, "messages": list(then.values()), "extractions": then_ledger}
    followed.update(lake)
    anew.update(lake)

    assert followed.query(
        "select segment_count from reports.daily_volume where message_date = '2026-10-20'"
    ) == [(77,)]
    assert followed.query(
        "select failed_count from marts.daily_errors where message_date = '2026-11-05'"
    ) == [(66,)]
    assert followed.query(
        "select country from reports.top_recipients where month = '2026-09-01'"
    ) == [("XX",)]
    assert followed.query(
        "select account_sid, country from marts.page_recipients where page_period = '2026-09' "
        "order by all"
    ) == [("AC1", "XX"), ("all", "YY")]
    assert followed.query(
        "select distinct account_sid, period, value from reports.kpis "
        "where kpi = 'seconds_to_send_p95' and value = 55 order by all"
    ) == [(scope, period, 55) for scope in ("AC1", "all") for period in ("day", "month")]
    followed.query("update marts.daily_errors set failed_count = 1 where failed_count = 66")
    followed.query("update intermediate.int_monthly_winners set country = 'ES'")
    followed.query("update intermediate.int_period_delays set seconds_to_send_p95 = 0 "
                   "where seconds_to_send_p95 = 55")  # fmt: skip
    followed.query("update marts.hourly_messages set segment_count = 1 where segment_count = 77")
    followed.query("update reports.top_recipients set country = 'ES' where country = 'XX'")
    # Nothing changed: only what is read from the repaired aggregates is computed again.
    followed.update(lake)
    assert followed.tables() == anew.tables()

    settled = {
        name: {row[0]: row[-1] for row in tables["reports.daily_volume"]}
        for name, tables in (("before", before), ("after", followed.tables()))
    }
    emptied, settled_day = date(2026, 10, 28), date(2026, 11, 5)
    assert emptied in settled["before"]
    assert emptied not in settled["after"]
    assert (settled["before"][settled_day], settled["after"][settled_day]) == (False, True)


@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_an_account_that_joins_changes_what_all_were_before(
    new_build: Callable[[], Build], currency: str
) -> None:
    followed, anew = new_build(), new_build()
    followed.update(LAKE)
    of_another = {"account_sid": "AC2", "price": Decimal("-0.5"), "currency": currency}
    lake = {
        **LAKE,
        "messages": [
            *MESSAGES.values(),
            message(7, "2026-11-10 01:00", "delivered", recipient=BEA, **of_another),
        ],
        "extractions": [
            *LAKE["extractions"],
            read("messages", "2026-11-10 00:00", "2026-11-10 06:00", account_sid="AC2"),
        ],
    }
    followed.update(lake)
    anew.update(lake)
    assert followed.tables() == anew.tables()
    scopes = {"USD": {"all"}, "EUR": {"all USD", "all EUR"}}[currency]
    assert scopes == {
        scope
        for (scope,) in followed.query(
            "select distinct account_sid from marts.page_recipients where account_sid like 'all%'"
        )
    }


def test_many_days_are_put_in_their_order(new_build: Callable[[], Build]) -> None:
    """So a day's run finds its few days together, and replaces only them."""
    clause = "{{ in_order_of('message_date', ref('int_touched_dates')) }}"
    for day_count, expected in (2, ""), (70, "order by message_date"):
        first = date(2026, 9, 1)
        build = new_build()
        build.update(
            {
                "messages": [
                    message(
                        number,
                        f"{first + timedelta(days=number * 37 % day_count)} 12:00",
                        "delivered",
                        recipient=f"+3460000{number:04}",
                    )
                    for number in range(day_count)
                ]
            }
        )
        assert (build.shown(f"select '{clause}' as said")["said"] or "") == expected
    for table, day in (("unpublished.intermediate.int_daily_recipients", "message_date"),
                       ("unpublished.intermediate.int_monthly_leaders", "month")):  # fmt: skip
        rows = build.query(f"select {day} from {table} order by rowid")
        assert len(rows) == 70
        assert rows == sorted(rows)
