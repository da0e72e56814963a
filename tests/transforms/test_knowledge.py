"""What the lake knows of an account: what is open, when it was read, how dense messages are."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.ledger_rows import ACCOUNT, DAY, HOUR, NOW, extraction, seconds
from transforms.ages import Ages, earliest_readable
from transforms.knowledge import (
    FINAL,
    NEVER_PRICED,
    KnownAccount,
    know_accounts,
    know_unsent,
    last_reads,
    looked_for,
    may_be_open,
)
from transforms.tables import EXTRACTIONS, MESSAGES


def know(messages: pa.Table, ledger: pa.Table) -> KnownAccount:
    (known,) = know_accounts([ACCOUNT], messages, messages, ledger, NOW, Ages())
    return known


def test_a_scan_that_its_limit_ended_has_looked_as_far_back_as_it_ever_may() -> None:
    ended = extraction("unsent_messages", NOW - 2 * DAY, NOW, NOW)
    ended["detail"] = "Stopped after 50 pages."
    single = extraction("unsent_messages", NOW - HOUR, NOW - HOUR + timedelta(seconds=1), NOW)
    failed = extraction("unsent_messages", NOW - 9 * DAY, NOW + DAY, NOW, "failed")

    def looked(*rows: dict[str, Any]) -> list[tuple[datetime, datetime]]:
        return looked_for(pa.Table.from_pylist(list(rows), EXTRACTIONS.schema))

    assert looked({**ended, "detail": None}, failed) == [(NOW - 2 * DAY, NOW)]
    assert looked(single, failed) == []
    ((start, end),) = looked(ended, single, failed)
    assert start < earliest_readable(NOW)
    assert end == NOW


def test_statuses_are_final_here_that_are_final_in_the_models() -> None:
    seed = Path(__file__).parents[2] / "sql/seeds/message_statuses.csv"
    with seed.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["status"] for row in rows if row["is_final"] == "true"} == set(FINAL)
    failed = {row["status"] for row in rows if row["is_failed"] == "true"}
    assert failed | {"canceled"} == set(NEVER_PRICED)


def test_what_is_open_is_known_without_the_rows_that_cannot_be() -> None:
    sent = [
        (status, price, NOW - age * DAY)
        for age in (1, 7, 8, 20)
        for status in (*FINAL, "sent", "queued", "a_new_one", None)
        for price in (None, -1)
    ]
    rows = [
        {
            "account_sid": account_sid, "message_sid": f"SM{i}", "status": status, "price": price,
            "created_at": NOW - 20 * DAY, "sent_at": sent_at,
        }
        for account_sid, others in ((ACCOUNT, []), ("AC" + "2" * 32, [("queued", None, None)]))
        for i, (status, price, sent_at) in enumerate([*sent, ("scheduled", None, None), *others])
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, pa.schema([MESSAGES.schema.field(name) for name in rows[0]]))
    reads = [extraction(kind, NOW - 30 * DAY, NOW, NOW) for kind in ("messages", "unsent_messages")]
    ledger = pa.Table.from_pylist(reads, EXTRACTIONS.schema)
    kept = duckdb.from_arrow(table).filter(may_be_open()).to_arrow_table()
    assert 0 < kept.num_rows < table.num_rows
    whole, known = (know(part, ledger) for part in (table, kept))
    assert known.open_at.tolist() == whole.open_at.tolist()
    assert known.unsent_at.tolist() == whole.unsent_at.tolist()
    unsent = know_unsent(ACCOUNT, kept, ledger)
    assert unsent == know_unsent(ACCOUNT, table, ledger)
    created = int((NOW - 20 * DAY).timestamp())
    assert unsent == [(f"SM{len(sent)}", created, int(NOW.timestamp()), True)]
    assert known.unsent_at.tolist() == [created]
    # All were read now: what is sent is final after three days, no price after one.
    is_open = [
        sent_at
        for status, price, sent_at in sent
        if not (status in FINAL or (status == "sent" and sent_at <= NOW - 3 * DAY))
        or not (price or (status in NEVER_PRICED and sent_at <= NOW - DAY))
    ]
    assert known.open_at.tolist() == sorted(int(sent_at.timestamp()) for sent_at in is_open)


@pytest.mark.parametrize("is_encoded", [False, True])
def test_of_each_account_its_own_messages_are_known_in_order(is_encoded: bool) -> None:
    days = [(ACCOUNT, 2), ("AC" + "2" * 32, 4), (ACCOUNT, 5), ("AC" + "3" * 32, 3), (ACCOUNT, 1)]
    rows = [
        {
            "account_sid": account_sid, "message_sid": f"SM{age}", "status": "delivered",
            "price": -1, "created_at": NOW - age * DAY, "sent_at": NOW - age * DAY,
        }
        for account_sid, age in [*days, (ACCOUNT, 9)]  # the last is older than what is looked at
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, pa.schema([MESSAGES.schema.field(name) for name in rows[0]]))
    unsent = {"account_sid": ACCOUNT, "sent_at": None}
    sent = pa.concat_tables(
        [
            table.select(list(unsent)).slice(0, 3),
            pa.Table.from_pylist([unsent], table.select(list(unsent)).schema),
            table.select(list(unsent)).slice(3),
        ]
    )
    if is_encoded:
        texts = pa.chunked_array(
            [chunk.dictionary_encode() for chunk in sent["account_sid"].chunks]
        )
        sent = sent.set_column(0, "account_sid", texts)
    asked = ["AC" + "2" * 32, "AC" + "4" * 32, ACCOUNT]
    known = know_accounts(asked, table, sent, EXTRACTIONS.schema.empty_table(), NOW, Ages())
    assert [(account.account_sid, account.sent_at.tolist()) for account in known] == [
        (asked[0], seconds(NOW - 4 * DAY).tolist()),
        (asked[1], []),
        (asked[2], seconds(*(NOW - age * DAY for age in (5, 2, 1))).tolist()),
    ]


@pytest.mark.parametrize(
    ("status", "price", "read_age", "is_open"),
    [
        ("delivered", -1, HOUR, False),
        ("delivered", None, 2 * DAY, True),
        ("sent", -1, 2 * DAY, True),
        ("sent", -1, 3 * DAY, False),
        ("sent", None, 3 * DAY, True),
        ("queued", None, 2 * DAY, True),
        ("failed", None, HOUR, True),
        ("failed", None, DAY, False),
        ("undelivered", -1, HOUR, False),
        ("shipped", -1, HOUR, True),
    ],
)
def test_a_message_is_open_until_its_status_and_price_are_final(
    status: str, price: int | None, read_age: timedelta, is_open: bool
) -> None:
    sent_at = NOW - 6 * DAY
    row = {
        "account_sid": ACCOUNT, "message_sid": "SM1", "status": status, "price": price,
        "created_at": sent_at - HOUR, "sent_at": sent_at,
    }  # fmt: skip
    schema = pa.schema([MESSAGES.schema.field(name) for name in row])
    ledger = pa.Table.from_pylist(
        [
            extraction("messages", sent_at - DAY, sent_at + DAY, sent_at + read_age),
            extraction("messages", sent_at - DAY, sent_at + DAY, sent_at + 5 * DAY, "failed"),
            extraction("unsent_messages", sent_at - DAY, sent_at + DAY, sent_at + 5 * DAY),
        ],
        EXTRACTIONS.schema,
    )
    known = know(pa.Table.from_pylist([row], schema), ledger)
    assert bool(len(known.open_at)) == is_open
    if is_open:
        assert known.open_read_at[0] == (sent_at + read_age).timestamp()
    assert known.failed == [(sent_at - DAY, sent_at + DAY)]


@settings(max_examples=200)
@given(
    windows=st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 20), st.integers(1, 99)), max_size=12
    )
)
def test_last_reads_finds_the_newest_window_around_each_instant(
    windows: list[tuple[int, int, int]],
) -> None:
    base = datetime(2026, 1, 1, tzinfo=UTC)

    def at(second: int) -> datetime:
        return base + timedelta(seconds=second)

    ledger = pa.Table.from_pylist(
        [extraction("messages", at(s), at(s + length), at(read)) for s, length, read in windows],
        EXTRACTIONS.schema,
    )
    instants = seconds(*(at(second) for second in range(70)))
    expected = [
        max([read for s, length, read in windows if s <= second < s + length], default=None)
        for second in range(70)
    ]
    assert last_reads(ledger, instants).tolist() == [
        0 if read is None else int(at(read).timestamp()) for read in expected
    ]
