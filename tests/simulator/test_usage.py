"""Usage adds up as Twilio says it does, and is what the messages cost."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest

from simulator.usage import IDLE, PARENTS, Ledger, daily_usage, totals
from simulator.world import World, WorldConfig
from tests.simulator.test_truth import at, message, small_world

UNTIL = datetime(2026, 11, 10, 6, tzinfo=UTC)

# What each category is made of, written down from Twilio's documentation and support cases.
CHILDREN = {
    "sms": ("sms-inbound", "sms-outbound"),
    "sms-inbound": ("sms-inbound-longcode",),
    "sms-outbound": ("sms-outbound-longcode",),
    "mms": ("mms-inbound", "mms-outbound"),
    "channels": ("channels-messaging", "channels-whatsapp"),
    "channels-messaging": ("channels-messaging-inbound", "channels-messaging-outbound"),
    "channels-whatsapp": (
        "channels-whatsapp-template-marketing", "channels-whatsapp-template-utility",
    ),
    "calls": ("calls-inbound", "calls-outbound"),
    "phonenumbers": ("phonenumbers-local",),
    "a2p-registration-fees": ("a2p-10dlc-registrationfees-monthly",),
    "recordings": ("calls-recordings",),
    "totalprice": (
        "sms", "mms", "channels", "sms-messages-carrierfees", "mms-messages-carrierfees",
        "rcs-messages", "failed-message-processing-fee", "calls", "recordings", "phonenumbers",
        "a2p-registration-fees", "lookups", "studio-engagements", "verify-push",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    world = World(WorldConfig(messages=5_000, days=35, accounts=3, seed=5, until=UNTIL))
    return daily_usage(world, int(UNTIL.timestamp()))


def test_a_category_is_the_sum_of_its_parts_every_day(ledger: Ledger) -> None:
    met: set[str] = set()
    for (account, day), entries in ledger.items():
        shown = totals(ledger, [account], day, day)
        for parent, children in CHILDREN.items():
            assert shown[parent].cost == sum(shown[name].cost for name in children), (day, parent)
            if parent != "totalprice":
                assert shown[parent].usage == sum(shown[name].usage for name in children)
                assert shown[parent].count == sum(shown[name].count for name in children)
        met |= entries.keys()
    assert met >= {*PARENTS, *CHILDREN}


def test_categories_of_other_products_are_listed_with_zeros(ledger: Ledger) -> None:
    day = date(2026, 11, 2)
    shown = totals(ledger, [0], day, day)
    assert len(IDLE) >= 59
    assert {(shown[name].count, shown[name].usage, shown[name].cost) for name in IDLE} == {
        (0, 0, 0)
    }


def test_longer_spans_and_more_accounts_are_sums(ledger: Ledger) -> None:
    first, last = date(2026, 10, 1), date(2026, 10, 31)
    month = totals(ledger, range(3), first, last)
    summed: dict[str, int] = defaultdict(int)
    for account in range(3):
        for back in range(31):
            day = first + timedelta(days=back)
            for name, entry in totals(ledger, [account], day, day).items():
                summed[name] += entry.cost
    assert {name: entry.cost for name, entry in month.items()} == summed
    assert month["totalprice"].cost > 0


def test_messages_are_billed_on_the_gmt_day_they_were_sent() -> None:
    day = date(2026, 11, 1)
    world = small_world(
        message("SM1", at(1, 10)),
        message("SM2", at(1, 23, 59), sent=at(2, 0)),  # the day after
        message("SM3", at(1, 11), "failed", charge=0, priced=None, error_code=30410),
        message("SM4", at(1, 12), "failed", charge=0, priced=None, error_code=21408),  # no fee
        message("SM5", at(1, 13), "failed", charge=0, priced=None, sent=None),
        message("SM6", at(1, 14), priced=None),  # billed, though its price never appears
        message("SM7", at(1, 15), channel="whatsapp", recipient="whatsapp:+340000000001",
                body="Oferta", charge=-5000, segment_count=1),
        message("SM8", at(1, 16), country="US", recipient="+12125550101"),
        message("SM9", at(1, 17), direction="inbound", segment_count=1),
    )  # fmt: skip
    shown = totals(daily_usage(world, at(3, 0)), [0], day, day)
    figures = {name: (entry.count, entry.usage, entry.cost) for name, entry in shown.items()}
    assert figures["sms-outbound"] == (3, 6, 22_500)
    assert figures["sms-inbound"] == (1, 1, 7_500)
    assert figures["sms"] == (4, 7, 30_000)
    assert figures["failed-message-processing-fee"] == (1, 1, 1_000)
    assert figures["channels-messaging-outbound"] == (1, 1, 5_000)
    assert figures["channels-whatsapp-template-marketing"] == (1, 1, 30_500)
    assert figures["sms-messages-carrierfees"] == (1, 2, 6_000)


def test_usage_of_today_grows_with_the_clock() -> None:
    world = small_world(message("SM1", at(1, 10)), message("SM2", at(1, 20)))
    day = date(2026, 11, 1)
    morning, evening = (
        totals(daily_usage(world, at(1, hour)), [0], day, day)["sms"].count for hour in (12, 22)
    )
    assert (morning, evening) == (1, 2)
