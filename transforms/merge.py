"""What the lake holds and what was seen now, to what it shall hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from transforms.tables import MESSAGE_CHANGES, MESSAGES, USAGE_RECORDS, Table
from transforms.windows import Span, join_spans

SEQUENCE = "sequence"

# How far a message has come. It only decides between two observations of the same second.
# twilio.com/docs/messaging/api/message-resource#message-status-values
STATUS_RANK = {
    "scheduled": 0, "accepted": 1, "queued": 2, "sending": 3, "receiving": 3, "sent": 4,
    "partially_delivered": 5, "received": 6, "delivered": 6, "read": 7,
    "failed": 8, "undelivered": 8, "canceled": 8,
}  # fmt: skip

# The columns whose changes are kept as history. The rest follow from these or from the run.
TRACKED = (
    "messaging_service_sid", "direction", "status", "error_code", "sender", "recipient",
    "sent_at", "price", "currency", "segment_count", "media_count", "missing_since",
)  # fmt: skip

_BODY = ("body", "body_length", "body_encoding")
_RUN = ("first_seen_at", "last_seen_at")


@dataclass(frozen=True)
class MergedMessages:
    """The rows a partition shall hold, and the changes that led to them."""

    rows: pa.Table
    changes: pa.Table


def merge_messages(held: pa.Table, seen: pa.Table) -> MergedMessages:
    """Each message once, as its newest observation says.

    The newest has the greatest `updated_at`, then came last, then stands further in its life; so
    a list that lags behind never turns a status back. Once a body has been seen empty it stays
    empty, whatever a later list shows: a redaction is not undone.

    Args:
        held: rows of `messages`, each SID once.
        seen: rows of `messages`, in any order, with an integer column `sequence` that grows with
            the time of the response; a SID may come several times. `last_seen_at` is the time of
            the run.
    """
    names = MESSAGES.schema.names
    untouched = before = held
    if held.num_rows:
        seen_again = pc.is_in(held["message_sid"], value_set=seen["message_sid"].combine_chunks())
        untouched, before = held.filter(pc.invert(seen_again)), held.filter(seen_again)
    # Most messages come once and are new: there is nothing to compare them with.
    alone, seen = _split_alone(seen, before["message_sid"])
    if not seen.num_rows:
        rows = pa.concat_tables([untouched.select(names), alone.select(names)])
        return MergedMessages(rows, MESSAGE_CHANGES.schema.empty_table())
    observations = pa.concat_tables(
        [before.append_column(SEQUENCE, pa.array(np.full(before.num_rows, -1))), seen.cast(
            pa.schema([*MESSAGES.schema, pa.field(SEQUENCE, pa.int64())])
        )]
    )  # fmt: skip
    newest = _newest(observations)
    newest = _keep_redactions(newest, observations)
    newest, changes = _compare(newest, before)
    rows = pa.concat_tables([table.select(names) for table in (untouched, alone, newest)])
    return MergedMessages(rows, changes)


def _split_alone(seen: pa.Table, held_sids: pa.ChunkedArray) -> tuple[pa.Table, pa.Table]:
    """What was seen once and is not held, and all else."""
    sids = seen["message_sid"].combine_chunks()
    counts = sids.value_counts()
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    others = pa.concat_arrays([repeated, *held_sids.chunks])
    if not len(others):
        return seen, seen.slice(0, 0)
    is_other = pc.is_in(sids, value_set=others)
    return seen.filter(pc.invert(is_other)), seen.filter(is_other)


@dataclass(frozen=True)
class CompleteReads:
    """What was read so that every message of it would have been seen.

    Attributes:
        sent: spans of date_sent, by account.
        unsent: spans of date_created of messages without date_sent, by account.
        vanished_sids: messages that were asked for by SID and are no more.
    """

    sent: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    unsent: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    vanished_sids: tuple[str, ...] = ()

    @property
    def spans(self) -> list[Span]:
        """All of it, whosever it is, oldest first."""
        every = [*self.sent.values(), *self.unsent.values()]
        return join_spans(span for spans in every for span in spans)


def is_vanished(
    rows: pa.Table, seen_sids: Sequence[pa.Array], reads: CompleteReads, now: datetime
) -> np.ndarray:
    """Which messages should have been seen in what was read whole, and were not.

    Args:
        rows: rows of `messages`, at least message_sid, account_sid, status, created_at, sent_at,
            first_seen_at and missing_since.
        seen_sids: messages that were seen, in several sets: best the smallest first, as a set is
            looked into only for what is in none of those before it.
        now: the run's clock; what another run saw first since then is not missing.
    """
    unseen = np.flatnonzero(
        _mask(pc.and_(pc.is_null(rows["missing_since"]), pc.less(rows["first_seen_at"], now)))
    )
    if len(unseen):
        unseen = unseen[_was_asked_for(rows.take(unseen), reads)]
    for sids in seen_sids:
        if len(unseen):
            is_seen = pc.is_in(rows["message_sid"].take(unseen), value_set=sids)
            unseen = unseen[~_mask(is_seen)]
    result = np.zeros(rows.num_rows, dtype=bool)
    result[unseen] = True
    return result


def _was_asked_for(rows: pa.Table, reads: CompleteReads) -> np.ndarray:
    asked = _mask(
        pc.is_in(rows["message_sid"], value_set=pa.array(reads.vanished_sids, pa.string()))
    )
    # Those that may still be sent move in the list while it is read.
    is_over = pc.is_in(rows["status"], value_set=pa.array(["canceled", "failed"]))
    is_unsent = pc.and_(pc.is_null(rows["sent_at"]), is_over)
    for spans_by_account, column, of_kind in (
        (reads.sent, "sent_at", pc.is_valid(rows["sent_at"])),
        (reads.unsent, "created_at", is_unsent),
    ):
        for account_sid, spans in spans_by_account.items():
            of_account = pc.and_(of_kind, pc.equal(rows["account_sid"], account_sid))
            for start, end in join_spans(spans):
                within = pc.and_(pc.greater_equal(rows[column], start), pc.less(rows[column], end))
                asked = asked | _mask(pc.and_(of_account, within))
    return asked


def mark_vanished(
    merged: MergedMessages, seen_sids: Sequence[pa.Array], reads: CompleteReads, now: datetime
) -> MergedMessages:
    """The same rows, with `missing_since` where a message has vanished, which is a change too."""
    vanished = is_vanished(merged.rows, seen_sids, reads, now)
    if not vanished.any():
        return merged
    mask = pa.array(vanished)
    marked = merged.rows.set_column(
        merged.rows.schema.get_field_index("missing_since"),
        MESSAGES.schema.field("missing_since"),
        pc.if_else(mask, pa.scalar(now, pa.timestamp("us", "UTC")), merged.rows["missing_since"]),
    )
    new, old = marked.filter(mask), merged.rows.filter(mask)
    changes = pa.table(
        {
            "message_sid": new["message_sid"],
            "field": pa.repeat("missing_since", new.num_rows),
            "observed_at": new["missing_since"],
            "account_sid": new["account_sid"],
            "old_value": old["missing_since"].cast(pa.string()),
            "new_value": new["missing_since"].cast(pa.string()),
        },
        schema=MESSAGE_CHANGES.schema,
    )
    return MergedMessages(marked, pa.concat_tables([merged.changes, changes]))


def merge_usage_records(held: pa.Table, seen: pa.Table) -> pa.Table:
    """Each category of a day once, newest `as_of` first, all-zero rows left out.

    A row of nothing but zeros carries no information, except `totalprice`, which says that the
    day was read. A category that Twilio corrects to zero therefore leaves. A row whose figures
    did not change stays as it was, `as_of` included, so that reading again rewrites nothing.
    """
    figures = ["event_count", "usage_quantity", "cost", "currency", "count_unit", "usage_unit",
               "description"]  # fmt: skip
    rows = _merge_by_key(USAGE_RECORDS, held, seen, order="as_of").to_pandas(
        types_mapper=pd.ArrowDtype
    )
    key = list(USAGE_RECORDS.key)
    old = held.to_pandas(types_mapper=pd.ArrowDtype).set_index(key)
    new = rows.set_index(key)
    both = new.index.intersection(old.index)
    if len(both):
        same = _equal(new.loc[both, figures], old.loc[both, figures])
        new.loc[both[same], "as_of"] = old.loc[both[same], "as_of"]
        rows = new.reset_index()
    amounts = rows[["event_count", "usage_quantity", "cost"]].fillna(0)
    is_nothing = (amounts == 0).all(axis=1) & (rows["category"] != "totalprice")
    kept = rows[~is_nothing.to_numpy(dtype=bool)]
    return pa.Table.from_pandas(
        kept[USAGE_RECORDS.schema.names], schema=USAGE_RECORDS.schema, preserve_index=False
    )


def merge_by_key(table: Table, held: pa.Table, seen: pa.Table) -> pa.Table:
    """Each key once, as it was seen last."""
    return _merge_by_key(table, held, seen, order=None)


def _merge_by_key(table: Table, held: pa.Table, seen: pa.Table, order: str | None) -> pa.Table:
    names = table.schema.names
    rows = pa.concat_tables([held.select(names), seen.select(names).cast(table.schema)])
    frame = rows.to_pandas(types_mapper=pd.ArrowDtype)
    if order is not None:
        frame = frame.sort_values(order, kind="stable")
    kept = frame.drop_duplicates(list(table.key), keep="last")
    return pa.Table.from_pandas(kept[names], schema=table.schema, preserve_index=False)


def _newest(observations: pa.Table) -> pa.Table:
    """The newest observation of each message, ordered by SID."""
    statuses = observations["status"].combine_chunks().dictionary_encode()
    ranks = pa.array([STATUS_RANK.get(text, 3) for text in statuses.dictionary.to_pylist()])
    keys = pa.table(
        {
            "sid": observations["message_sid"],
            "updated": pc.fill_null(observations["updated_at"].cast(pa.int64()), 0),
            "seen": observations["last_seen_at"],
            "sequence": observations[SEQUENCE],
            "rank": ranks.take(statuses.indices),
        }
    )
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
    ordered = observations.take(order)
    sids = ordered["message_sid"].combine_chunks()
    is_last = np.ones(len(sids), dtype=bool)
    is_last[:-1] = pc.not_equal(sids[:-1], sids[1:]).to_numpy(zero_copy_only=False)
    newest = ordered.filter(pa.array(is_last))
    groups = ordered.group_by("message_sid").aggregate(
        [("first_seen_at", "min"), ("is_opt_out_request", "max")]
    )
    # Groups come in no order.
    first_seen = groups.take(
        pc.index_in(newest["message_sid"], groups["message_sid"].combine_chunks())
    )
    newest = newest.set_column(
        newest.schema.get_field_index("first_seen_at"),
        MESSAGES.schema.field("first_seen_at"),
        first_seen["first_seen_at_min"].cast(pa.timestamp("us", "UTC")),
    )
    return newest.set_column(
        newest.schema.get_field_index("is_opt_out_request"),
        MESSAGES.schema.field("is_opt_out_request"),
        first_seen["is_opt_out_request_max"],
    )


def _keep_redactions(newest: pa.Table, observations: pa.Table) -> pa.Table:
    was_empty = pc.equal(observations["body_length"], 0)
    redacted_sids = observations["message_sid"].filter(was_empty).combine_chunks()
    redacted = pc.and_(
        pc.is_in(newest["message_sid"], value_set=redacted_sids),
        pc.greater(pc.fill_null(newest["body_length"], 0), 0),
    )
    if not pc.any(redacted).as_py():
        return newest
    for name in _BODY:
        column = MESSAGES.schema.field(name)
        empty = pa.scalar(0 if name == "body_length" else None, column.type)
        newest = newest.set_column(
            newest.schema.get_field_index(name),
            column,
            pc.if_else(redacted, empty, newest[name]),
        )
    return newest


def _compare(newest: pa.Table, before: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The newest rows, unchanged ones as they were, and one row for each change of one field."""
    if not before.num_rows:
        return newest, MESSAGE_CHANGES.schema.empty_table()
    position = pc.index_in(newest["message_sid"], before["message_sid"].combine_chunks())
    was_held = pc.is_valid(position)
    now = newest.filter(was_held)
    then = before.take(position.filter(was_held))
    differs = np.zeros(now.num_rows, dtype=bool)
    changes = []
    for column in MESSAGES.schema:
        if column.name in _RUN:
            continue
        changed = _differs(now[column.name], then[column.name])
        differs |= changed
        if column.name in TRACKED:
            changes.append(_changes(column.name, column.name, now, then, changed))
        elif column.name == "body_length":
            redacted = changed & pc.equal(now["body_length"], 0).to_numpy().astype(bool)
            changes.append(_changes("redaction", column.name, now, then, redacted))
    # A re-read that changes nothing leaves the row, last_seen_at included.
    kept_seen = pc.if_else(pa.array(differs), now["last_seen_at"], then["last_seen_at"])
    now = now.set_column(
        now.schema.get_field_index("last_seen_at"),
        MESSAGES.schema.field("last_seen_at"),
        kept_seen,
    )
    rows = pa.concat_tables([newest.filter(pc.invert(was_held)), now])
    return rows, pa.concat_tables(changes)


def _differs(now: pa.ChunkedArray, then: pa.ChunkedArray) -> np.ndarray:
    unequal = pc.fill_null(pc.not_equal(now, then), False)
    either_null = pc.xor(pc.is_null(now), pc.is_null(then))
    return np.asarray(pc.or_(unequal, either_null).to_numpy(), dtype=bool)


def _mask(values: pa.ChunkedArray) -> np.ndarray:
    mask: np.ndarray = pc.fill_null(values, False).to_numpy().astype(bool)
    return mask


def _changes(label: str, name: str, now: pa.Table, then: pa.Table, changed: np.ndarray) -> pa.Table:
    mask = pa.array(changed)
    new, old = now.filter(mask), then.filter(mask)
    return pa.table(
        {
            "message_sid": new["message_sid"],
            "field": pa.repeat(label, new.num_rows),
            "observed_at": new["last_seen_at"],
            "account_sid": new["account_sid"],
            "old_value": old[name].cast(pa.string()),
            "new_value": new[name].cast(pa.string()),
        },
        schema=MESSAGE_CHANGES.schema,
    )


def _equal(one: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    same = (one == other).fillna(False) | (one.isna() & other.isna())
    return same.all(axis=1).to_numpy(dtype=bool)
