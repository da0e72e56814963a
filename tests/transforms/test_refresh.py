"""What a run asks for: decided from hand-made knowledge, with the answer written by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.ledger_rows import ACCOUNT, DAY, HOUR, NOW, extraction
from transforms.ages import Ages, earliest_readable
from transforms.knowledge import KnownAccount
from transforms.refresh import (
    OVERLAP,
    PAGE_ROWS,
    about_to_be_lost,
    cover,
    plan_deep,
    plan_new_and_open,
)
from transforms.refresh_usage import plan_daily_usage
from transforms.tables import EXTRACTIONS
from transforms.windows import Planned, join_spans, subtract_spans


def every(step: timedelta, start: datetime, end: datetime) -> np.ndarray:
    return np.arange(start.timestamp(), end.timestamp(), step.total_seconds(), dtype=np.int64)


def plan(known: KnownAccount, unsent_pages: int = 200, initial_days: int = 30) -> list[Planned]:
    return plan_new_and_open(
        known, NOW, initial_days=initial_days, unsent_pages=unsent_pages, ages=Ages()
    )


def spans(planned: list[Planned], dataset: str, reason: str = "") -> list[tuple[Any, Any]]:
    return [
        (entry.window.start, entry.window.end)
        for entry in planned
        if entry.window.dataset == dataset and reason in entry.reason
    ]


SENT_AT = every(timedelta(seconds=17), NOW - 9 * DAY + timedelta(seconds=5), NOW - DAY)


def sent_between(start: datetime, end: datetime) -> np.ndarray:
    instants = SENT_AT
    return instants[(instants > start.timestamp()) & (instants < end.timestamp())]


def read_until_yesterday(**more: Any) -> KnownAccount:
    """An account of 5,000 messages a day, read until 24 hours ago."""
    since = NOW - 30 * DAY
    more = {"since": since, "looked": [(since, NOW - DAY)], **more}
    return KnownAccount(ACCOUNT, covered=[(since, NOW - DAY)], sent_at=SENT_AT, **more)


def test_an_account_never_read_is_read_whole_from_the_initial_days_on() -> None:
    planned = plan(KnownAccount(ACCOUNT), initial_days=2)
    midnight = NOW.replace(hour=0)
    assert spans(planned, "unsent_messages") == [(midnight - 2 * DAY, NOW)]
    assert spans(planned, "messages") == [
        (midnight - 2 * DAY, midnight - DAY), (midnight - DAY, midnight), (midnight, NOW),
    ]  # fmt: skip


def test_with_nothing_open_only_the_new_day_is_asked_for() -> None:
    planned = plan(read_until_yesterday())
    assert [(entry.window.dataset, entry.requests) for entry in planned] == [
        ("unsent_messages", 6), ("messages", 0),
    ]  # fmt: skip
    assert spans(planned, "unsent_messages") == [(NOW - DAY - 2 * HOUR, NOW)]


def test_what_was_open_a_day_ago_is_read_again_once() -> None:
    """All of yesterday's messages are unpriced: their day costs as much as the new one."""
    yesterday = sent_between(NOW - 2 * DAY, NOW - DAY)
    known = read_until_yesterday(
        open_at=yesterday, open_read_at=np.full(len(yesterday), int((NOW - DAY).timestamp()))
    )
    planned = plan(known)
    assert sum(entry.requests or 0 for entry in planned) in (11, 12)
    assert min(entry.window.start.timestamp() for entry in planned) == yesterday[0]
    again = read_until_yesterday(
        open_at=yesterday, open_read_at=np.full(len(yesterday), int(NOW.timestamp()))
    )
    assert sum(entry.requests or 0 for entry in plan(again)) == 6


def test_open_messages_in_one_hour_cost_one_page() -> None:
    """A campaign of four days ago is still unpriced; the rest of its day is closed."""
    at = NOW - 3 * DAY - 12 * HOUR
    campaign = sent_between(at, at + HOUR)
    known = read_until_yesterday(open_at=campaign, open_read_at=campaign + 30 * 3600)
    opened = [entry for entry in plan(known) if entry.reason == "open messages"]
    assert [entry.requests for entry in opened] == [1]
    assert opened[0].window.start > at
    assert opened[0].window.end <= at + HOUR


def test_a_whole_open_day_waits_for_the_last_age() -> None:
    """At 3 days it would cost all its pages, so it is left to the reading at 7 days."""
    for age, expected in ((3, 0), (5, 0), (7, 5)):
        day = sent_between(NOW - (age + 1) * DAY, NOW - age * DAY)
        known = read_until_yesterday(open_at=day, open_read_at=day + 30 * 3600)
        opened = [entry for entry in plan(known) if entry.reason == "open messages"]
        assert sum(entry.requests or 0 for entry in opened) in (expected, expected + bool(expected))


def test_nothing_is_read_again_for_ever() -> None:
    old = every(HOUR, NOW - 9 * DAY, NOW - 8 * DAY)
    known = read_until_yesterday(open_at=old, open_read_at=old + 7 * 86_400)
    assert spans(plan(known), "messages", "open messages") == []
    never = [("SM1", int((NOW - 37 * DAY).timestamp()), int((NOW - DAY).timestamp()), True)]
    assert not [e for e in plan(read_until_yesterday(unsent=never)) if e.window.message_sids]


def test_known_unsent_messages_are_asked_for_by_sid_and_not_too_many_a_run() -> None:
    created = int((NOW - 3 * DAY - HOUR).timestamp())
    unsent = [(f"SM{i}", created + i, created + 30 * 3600, True) for i in range(50)]
    planned = plan(read_until_yesterday(unsent=unsent))
    (single,) = [entry for entry in planned if entry.window.message_sids]
    assert single.window.message_sids == ("SM0", "SM1", "SM2")
    assert single.requests == 3
    assert single.window.dataset == "unsent_messages"


def test_one_page_of_a_small_account_shows_everything_that_is_open() -> None:
    """Twenty messages a day: the scan's only page reaches back over all open ones."""
    sent_at = every(timedelta(minutes=72), NOW - 8 * DAY, NOW - DAY)
    opened = sent_at[[5, 60, 110]]
    known = KnownAccount(
        ACCOUNT, [(NOW - 30 * DAY, NOW - DAY)], sent_at=sent_at,
        open_at=opened, open_read_at=opened + 3600,
        unsent=[("SM1", int(sent_at[20]), int(sent_at[20]) + 3600, False)],
    )  # fmt: skip
    planned = plan(known)
    assert sum(entry.requests or 0 for entry in planned) == 1
    assert planned[0].window.dataset == "unsent_messages"
    assert planned[0].window.start <= datetime.fromtimestamp(opened[0], UTC)


def test_without_a_scan_new_days_are_windows() -> None:
    planned = plan(read_until_yesterday(), unsent_pages=0)
    assert spans(planned, "unsent_messages") == []
    assert join_spans(spans(planned, "messages")) == [(NOW - DAY - 2 * HOUR, NOW)]
    assert planned[0].requests == 6


def test_a_scan_that_is_too_short_leaves_the_rest_to_windows() -> None:
    planned = plan(read_until_yesterday(), unsent_pages=3)
    assert planned[0].requests == 3
    assert [entry.reason for entry in planned[1:]] == [
        "new messages", "new messages, if the scan does not get there",
    ]  # fmt: skip
    assert join_spans(spans(planned, "messages")) == [(NOW - DAY - 2 * HOUR, NOW)]
    assert sum(entry.requests or 0 for entry in planned) <= 8


def test_what_failed_is_read_again_unless_it_was_read_since_or_is_past_retention() -> None:
    failed = [
        (NOW - 20 * DAY, NOW - 19 * DAY), (NOW - 10 * DAY, NOW - 9 * DAY),
        (NOW - 500 * DAY, NOW - 499 * DAY),
    ]  # fmt: skip
    covered = [(NOW - 30 * DAY, NOW - 20 * DAY), (NOW - 19 * DAY - HOUR, NOW - DAY)]
    known = KnownAccount(ACCOUNT, covered=covered, failed=failed, since=NOW - 30 * DAY)
    assert spans(plan(known), "messages", "could not be read") == [
        (NOW - 20 * DAY - 2 * HOUR, NOW - 19 * DAY - HOUR),
    ]


def test_a_gap_is_read_from_where_the_last_reading_ended() -> None:
    known = KnownAccount(
        ACCOUNT, covered=[(NOW - 60 * DAY, NOW - 20 * DAY)], since=NOW - 60 * DAY,
        looked=[(NOW - 60 * DAY, NOW - 20 * DAY)],
    )  # fmt: skip
    assert min(entry.window.start for entry in plan(known)) == NOW - 20 * DAY - 2 * HOUR


def test_time_that_twilio_forgets_soon_is_told() -> None:
    failed = [(NOW - 390 * DAY, NOW - 389 * DAY), (NOW - 5 * DAY, NOW - 4 * DAY)]
    known = KnownAccount(ACCOUNT, failed=failed)
    assert about_to_be_lost(known, NOW) == [failed[0]]


def test_a_deep_pass_reads_its_days_whole_and_no_day_that_was_never_asked_for() -> None:
    known = KnownAccount(ACCOUNT, covered=[(NOW - 3 * DAY, NOW)], unsent=[("SM1", 1, 0, True)])
    planned = plan_deep(known, NOW, days=35, unsent_pages=200)
    assert min(start for start, _ in spans(planned, "messages")) == NOW - 3 * DAY
    assert len(spans(planned, "messages")) == 4
    assert [e.window.message_sids for e in planned if e.window.message_sids] == [("SM1",)]


def test_usage_is_read_by_months_from_the_first_day_of_the_earliest() -> None:
    september, october, november = (datetime(2026, month, 1, tzinfo=UTC) for month in (9, 10, 11))

    def usage(*rows: dict[str, Any]) -> list[tuple[Any, Any]]:
        ledger = pa.Table.from_pylist(list(rows), EXTRACTIONS.schema)
        return spans(plan_daily_usage(ledger, ACCOUNT, NOW, 30), "usage_records")

    assert usage() == [(october, november), (november, NOW)]
    read = extraction("usage_records", october, NOW - DAY, NOW - DAY)
    assert usage(read) == [(november, NOW)]
    lately = extraction("usage_records", october, NOW - 7 * DAY, NOW - 7 * DAY)
    assert usage(lately) == [(october, november), (november, NOW)]
    # A month that could not be read is read again, unless it was read since or is long past.
    failed = extraction("usage_records", september, october, NOW - 9 * DAY, "not_found")
    assert usage(read, failed) == [(september, october), (november, NOW)]
    assert usage(read, failed, {**failed, "outcome": "empty"}) == [(november, NOW)]
    # A first run reads as far back as it reads messages; what is refused then is let be.
    ledger = EXTRACTIONS.schema.empty_table()
    years_first = spans(plan_daily_usage(ledger, ACCOUNT, NOW, 200), "usage_records")
    assert [start.month for start, _ in years_first] == [4, 5, 6, 7, 8, 9, 10, 11]
    refused = extraction("usage_records", datetime(2026, 4, 1, tzinfo=UTC), NOW, NOW, "not_found")
    assert usage(refused) == [
        (november.replace(month=m), november.replace(month=m + 1)) for m in (8, 9, 10)
    ] + [(november, NOW)]
    old = extraction("usage_records", NOW - 200 * DAY, NOW - 190 * DAY, NOW - 9 * DAY, "failed")
    assert usage(read, old) == [(november, NOW)]


def test_a_scan_that_failed_is_made_up_for_by_the_next() -> None:
    known = read_until_yesterday(looked=[(NOW - 30 * DAY, NOW - 4 * DAY)])
    assert spans(plan(known), "unsent_messages") == [(NOW - 4 * DAY - 2 * HOUR, NOW)]


def test_time_between_a_daily_run_and_a_later_backfill_is_read() -> None:
    """After an outage someone read the last days by hand first: the days before are still due."""
    covered = [(NOW - 30 * DAY, NOW - 9 * DAY), (NOW - 4 * DAY, NOW - 2 * DAY)]
    known = KnownAccount(
        ACCOUNT, covered=covered, since=NOW - 30 * DAY,
        looked=[(NOW - 30 * DAY, NOW - 9 * DAY)],
        sent_at=SENT_AT,
    )  # fmt: skip
    gap = (NOW - 9 * DAY - 2 * HOUR, NOW - 4 * DAY)
    assert join_spans(spans(plan(known), "messages", "could not be read")) == [gap]
    old_backfill = KnownAccount(ACCOUNT, covered=[(NOW - 200 * DAY, NOW - 190 * DAY)])
    assert min(start for start, _ in spans(plan(old_backfill), "messages")) > NOW - 31 * DAY


def test_the_first_daily_run_after_a_backfill_asks_for_what_is_new_only() -> None:
    backfilled = [(NOW - 90 * DAY, NOW - DAY)]
    known = KnownAccount(ACCOUNT, covered=backfilled, looked=backfilled, sent_at=SENT_AT)
    assert min(entry.window.start for entry in plan(known)) == NOW - DAY - 2 * HOUR


def test_what_was_read_is_not_read_again_because_nobody_has_searched_it() -> None:
    """Windows were read without a scan (WAREHOUSE_UNSENT_PAGES=0), then a scan is asked for."""
    known = KnownAccount(ACCOUNT, covered=[(NOW - 90 * DAY, NOW - DAY)], sent_at=SENT_AT)
    planned = plan(known, unsent_pages=10)
    assert spans(planned, "unsent_messages") == [(NOW.replace(hour=0) - 30 * DAY, NOW)]
    assert min(start for start, _ in spans(planned, "messages")) == NOW - DAY - 2 * HOUR
    assert sum(entry.requests or 0 for entry in planned) <= 16


def test_what_is_read_again_is_what_the_models_do_not_call_complete() -> None:
    """Settled needs a reading as late as the overlap, so that the next run reads the rest."""
    model = Path(__file__).parents[2] / "sql/models/marts/reads.sql"
    assert f"interval {OVERLAP // HOUR} hour" in model.read_text(encoding="utf-8")


def test_all_or_none_of_a_second_is_asked_for_by_sid() -> None:
    created = int((NOW - 3 * DAY - HOUR).timestamp())

    def asked(*counts: int) -> list[int]:
        unsent = [
            (f"SM{second}-{i}", created + second, created + 30 * 3600, True)
            for second, count in enumerate(counts)
            for i in range(count)
        ]
        sids = [s for e in plan(read_until_yesterday(unsent=unsent)) for s in e.window.message_sids]
        return [sum(sid.startswith(f"SM{n}-") for sid in sids) for n in range(len(counts))]

    assert asked(2, 2, 1) == [2, 0, 0]
    assert asked(10, 1) == [10, 0]
    assert asked(40, 1, 1) == [0, 1, 1]


@settings(max_examples=200)
@given(
    sent=st.lists(st.integers(0, 5_000), min_size=1, max_size=300),
    chosen=st.lists(st.integers(0, 299), max_size=60),
)
def test_windows_cover_all_open_messages_and_no_more_pages_than_one_by_one(
    sent: list[int], chosen: list[int]
) -> None:
    sent_at = np.sort(np.array(sent, dtype=np.int64))
    open_at = np.sort(sent_at[[i % len(sent) for i in chosen]])
    windows = cover(open_at, sent_at)
    for at in open_at:
        assert sum(start.timestamp() <= at < end.timestamp() for start, end, _ in windows) == 1
    pages = sum(max(1, -(-count // PAGE_ROWS)) for _, _, count in windows)
    assert pages <= len(np.unique(open_at))
    assert pages <= -(-len(sent) // PAGE_ROWS) + 1


@settings(max_examples=200)
@given(
    ones=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=8),
    others=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=8),
)
def test_spans_are_joined_and_subtracted_as_sets(
    ones: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    def as_spans(pairs: list[tuple[int, int]]) -> list[tuple[datetime, datetime]]:
        return [(NOW + s * HOUR, NOW + (s + length) * HOUR) for s, length in pairs]

    def hours(parts: list[tuple[datetime, datetime]]) -> set[int]:
        return {i for i in range(60) for s, e in parts if s <= NOW + i * HOUR < e}

    one, other = as_spans(ones), as_spans(others)
    joined = join_spans(one)
    assert hours(joined) == hours(one)
    assert all(a[1] < b[0] for a, b in pairwise(joined))
    assert hours(subtract_spans(one, other)) == hours(one) - hours(other)


def test_retention_is_400_days() -> None:
    assert earliest_readable(NOW) == NOW.replace(hour=0) - 399 * DAY
