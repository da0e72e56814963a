"""What was held and what was seen, to what shall be held."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from transforms.merge import (
    SEQUENCE,
    CompleteReads,
    MergedMessages,
    mark_vanished,
    merge_messages,
    merge_usage_records,
)
from transforms.tables import MESSAGE_CHANGES, MESSAGES, USAGE_RECORDS

T0 = datetime(2026, 11, 1, tzinfo=UTC)
MESSAGE: dict[str, Any] = {
    "message_sid": "SM1",
    "account_sid": "AC1",
    "direction": "outbound-api",
    "status": "queued",
    "created_at": T0,
    "updated_at": T0,
    "body_length": 5,
    "body_encoding": "gsm7",
    "is_opt_out_request": False,
    "first_seen_at": T0,
    "last_seen_at": T0,
}


def held(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{**MESSAGE, **row} for row in rows], schema=MESSAGES.schema)


def seen(*rows: dict[str, Any], run: int = 1) -> pa.Table:
    """Observations of the run `run` hours after T0, in the order of the responses."""
    at = T0 + timedelta(hours=run)
    table = held(*({"first_seen_at": at, "last_seen_at": at, **row} for row in rows))
    return table.append_column(SEQUENCE, pa.array(range(len(rows)), pa.int64()))


def after(seconds: int) -> datetime:
    return T0 + timedelta(seconds=seconds)


def only(table: pa.Table) -> dict[str, Any]:
    (row,) = table.to_pylist()
    return row  # type: ignore[no-any-return]


def test_the_greater_updated_at_wins_whatever_came_last() -> None:
    merged = merge_messages(
        held({"status": "delivered", "updated_at": after(9)}),
        seen({"status": "sent", "updated_at": after(5)}),
    )
    assert only(merged.rows)["status"] == "delivered"
    assert merged.changes.num_rows == 0


def test_of_the_same_second_the_later_response_wins() -> None:
    merged = merge_messages(held({"status": "sent"}), seen({"status": "delivered"}))
    assert only(merged.rows)["status"] == "delivered"


def test_a_message_seen_twice_in_a_run_is_one_row() -> None:
    merged = merge_messages(
        held(),
        seen({"status": "sent", "updated_at": after(2)}, {"status": "queued"}, {"status": "sent",
             "updated_at": after(2)}),
    )  # fmt: skip
    assert only(merged.rows)["status"] == "sent"


def test_changes_are_kept_field_by_field() -> None:
    merged = merge_messages(
        held({"status": "sent"}),
        seen({"status": "undelivered", "error_code": 30003, "price": Decimal("-0.0075"),
              "updated_at": after(60)}),
    )  # fmt: skip
    changes = {row["field"]: (row["old_value"], row["new_value"]) for row in
               merged.changes.to_pylist()}  # fmt: skip
    assert changes == {
        "status": ("sent", "undelivered"),
        "error_code": (None, "30003"),
        "price": (None, "-0.007500"),
    }
    assert {row["observed_at"] for row in merged.changes.to_pylist()} == {T0 + timedelta(hours=1)}


def test_seeing_the_same_again_changes_nothing() -> None:
    before = held({"status": "delivered"})
    merged = merge_messages(before, seen({"status": "delivered"}))
    assert merged.rows.equals(before)
    assert merged.changes.num_rows == 0


def test_a_row_remembers_when_it_was_first_seen_and_last_changed() -> None:
    row = only(merge_messages(held({}), seen({"status": "sent", "updated_at": after(1)})).rows)
    assert (row["first_seen_at"], row["last_seen_at"]) == (T0, T0 + timedelta(hours=1))


def test_a_redaction_is_a_change_and_is_never_undone() -> None:
    redacted = merge_messages(held({"body": "hello"}), seen({"body": "", "body_length": 0}))
    assert redacted.changes.to_pylist()[0]["field"] == "redaction"
    again = merge_messages(redacted.rows, seen({"body": "hello", "updated_at": after(9)}, run=2))
    row = only(again.rows)
    assert (row["body"], row["body_length"], row["body_encoding"]) == (None, 0, None)


def test_what_was_not_seen_stays() -> None:
    merged = merge_messages(held({}, {"message_sid": "SM2"}), seen({"status": "sent"}))
    assert sorted(merged.rows["message_sid"].to_pylist()) == ["SM1", "SM2"]


def test_of_many_messages_each_keeps_what_is_its_own() -> None:
    rows = [
        {
            "message_sid": f"SM{number * 7919 % 1000:03d}",
            "first_seen_at": after(number),
            "last_seen_at": after(number),
            "is_opt_out_request": number % 7 == 0,
            "status": f"status {number}",
        }
        for number in range(1000)
    ]
    before = held(*rows)
    again = [{key: value for key, value in row.items() if "seen" not in key} for row in rows]
    merged = merge_messages(before, seen(*again))
    assert merged.rows.sort_by("message_sid").equals(before.sort_by("message_sid"))
    assert merged.changes.num_rows == 0


observations = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(["queued", "sent", "delivered", "undelivered", "shipped"]),
            "updated_at": st.integers(0, 3).map(after),
            "price": st.sampled_from([None, Decimal("-0.0075")]),
            "body_length": st.sampled_from([5, 0]),
            "run": st.integers(1, 4),
        }
    ),
    min_size=1,
    max_size=6,
)


@hypothesis_settings(max_examples=150)
@given(observations, st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_observations_merges_to_the_same_row(
    rows: list[dict[str, Any]], random: Any
) -> None:
    """What counts is when Twilio answered, not when the answer reached the merge."""

    def observe(numbered: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
        table = pa.concat_tables(
            [
                seen({key: value for key, value in row.items() if key != "run"}, run=row["run"])
                .drop_columns([SEQUENCE])
                .append_column(SEQUENCE, pa.array([number], pa.int64()))
                for number, row in numbered
            ]
        )
        return only(merge_messages(held(), table).rows)

    numbered = list(enumerate(rows))
    shuffled = numbered + random.sample(numbered, k=len(numbered) // 2)
    random.shuffle(shuffled)
    one, other = observe(numbered), observe(shuffled)
    for name in ("last_seen_at",):
        one.pop(name), other.pop(name)
    assert one == other


USAGE: dict[str, Any] = {
    "account_sid": "AC1",
    "usage_date": date(2026, 11, 1),
    "category": "sms",
    "event_count": Decimal(3),
    "usage_quantity": Decimal(3),
    "cost": Decimal("0.0225"),
    "currency": "USD",
    "as_of": T0,
}


def usage(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{**USAGE, **row} for row in rows], schema=USAGE_RECORDS.schema)


def test_the_newest_figure_of_a_day_wins() -> None:
    merged = merge_usage_records(
        usage({}), usage({"cost": Decimal("0.03"), "as_of": after(60)})
    ).to_pylist()
    assert [row["cost"] for row in merged] == [Decimal("0.030000")]


def test_rows_of_nothing_but_zeros_are_dropped_except_totalprice() -> None:
    zero = {"event_count": Decimal(0), "usage_quantity": Decimal(0), "cost": Decimal(0)}
    merged = merge_usage_records(
        usage(), usage({**zero, "category": "mms"}, {**zero, "category": "totalprice"}, {})
    ).to_pylist()
    assert sorted(row["category"] for row in merged) == ["sms", "totalprice"]


def test_a_figure_corrected_to_zero_leaves() -> None:
    zero = {"event_count": Decimal(0), "usage_quantity": Decimal(0), "cost": Decimal(0)}
    assert merge_usage_records(usage({}), usage({**zero, "as_of": after(60)})).num_rows == 0


def test_the_same_figure_read_again_leaves_the_row_alone() -> None:
    before = usage({})
    assert merge_usage_records(before, usage({"as_of": after(60)})).equals(before)


NOW = after(100_000)
HOUR = timedelta(hours=1)


def vanished(rows: pa.Table, reads: CompleteReads, *seen_sids: str) -> dict[str, Any]:
    """missing_since of each message after a run that read these and saw those."""
    merged = MergedMessages(rows, MESSAGE_CHANGES.schema.empty_table())
    marked = mark_vanished(merged, [pa.array(seen_sids, pa.string())], reads, NOW)
    assert [change["message_sid"] for change in marked.changes.to_pylist()] == [
        row["message_sid"]
        for row, before in zip(marked.rows.to_pylist(), rows.to_pylist(), strict=True)
        if row["missing_since"] != before["missing_since"]
    ]
    return {row["message_sid"]: row["missing_since"] for row in marked.rows.to_pylist()}


def test_a_message_that_a_complete_read_no_longer_shows_is_missing_since_then() -> None:
    rows = held(
        {"message_sid": "SM1", "sent_at": T0},
        {"message_sid": "SM2", "sent_at": T0},
        {"message_sid": "SM3", "sent_at": T0 + HOUR},
        {"message_sid": "SM4", "sent_at": T0, "account_sid": "AC2"},
        {"message_sid": "SM5", "sent_at": None},
        {"message_sid": "SM6", "sent_at": T0, "missing_since": after(7)},
        {"message_sid": "SM7", "sent_at": T0, "first_seen_at": NOW},
    )
    reads = CompleteReads(sent={"AC1": [(T0, T0 + HOUR)]})
    assert vanished(rows, reads, "SM2") == {
        "SM1": NOW, "SM2": None, "SM3": None, "SM4": None, "SM5": None, "SM6": after(7),
        "SM7": None,
    }  # fmt: skip


def test_an_unsent_message_is_missing_from_the_unfiltered_list_or_by_its_sid() -> None:
    """One that may still be sent moves in the list while it is read: only its SID is proof."""
    rows = held(
        {"message_sid": "SM1", "status": "canceled"},
        {"message_sid": "SM2", "status": "canceled", "created_at": T0 - HOUR},
        {"message_sid": "SM3", "created_at": T0 - HOUR},
        {"message_sid": "SM4", "status": "failed", "sent_at": T0},
        {"message_sid": "SM5", "status": "scheduled"},
    )
    reads = CompleteReads(unsent={"AC1": [(T0, T0 + HOUR)]}, vanished_sids=("SM3",))
    assert vanished(rows, reads) == {
        "SM1": NOW, "SM2": None, "SM3": NOW, "SM4": None, "SM5": None,
    }  # fmt: skip


def test_a_message_that_comes_back_is_missing_no_more() -> None:
    merged = merge_messages(held({"missing_since": after(7)}), seen({}))
    assert only(merged.rows)["missing_since"] is None
    assert only(merged.changes)["field"] == "missing_since"
