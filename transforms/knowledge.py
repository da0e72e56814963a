"""What the lake knows of an account that decides what to ask for now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.ages import RETENTION, Ages
from transforms.distinct import map_distinct
from transforms.windows import Span, join_spans

Instants = np.ndarray  # of int64: seconds since 1970, UTC

# The rule by which the models call a message settled (sql: int_messages_settled); the statuses
# are twilio.com/docs/messaging/api/message-resource#message-status-values.
FINAL = ("delivered", "read", "failed", "undelivered", "canceled", "received")
NEVER_PRICED = ("failed", "undelivered", "canceled")
_SENT_IS_FINAL = timedelta(hours=72)
_NO_PRICE_IS_FINAL = timedelta(hours=24)
# Outcomes of the ledger: of what was read, and of what is read again.
_READ = ("ok", "empty")
_NOT_READ = ("failed", "denied", "not_found")
_BEYOND_RETENTION = RETENTION + timedelta(days=1)


@dataclass(frozen=True)
class KnownAccount:
    """What the lake knows of one account, as far as a plan needs it.

    Attributes:
        covered: the time whose sent messages were read well, oldest first.
        failed: the time that could not be read.
        since: from when on daily runs have read, or tried to; None: no daily run yet.
        looked: the time in which messages without date_sent were looked for, oldest first.
        sent_at: when its messages of the last days were sent, ascending.
        open_at: when its open messages with date_sent were sent, ascending.
        open_read_at: when each of those was last read.
        unsent_at: when its open messages without date_sent were created.
        unsent: these messages: SID, created_at, last read, is scheduled.
    """

    account_sid: str
    covered: Sequence[Span] = ()
    failed: Sequence[Span] = ()
    since: datetime | None = None
    looked: Sequence[Span] = ()
    sent_at: Instants = field(default_factory=lambda: np.empty(0, np.int64))
    open_at: Instants = field(default_factory=lambda: np.empty(0, np.int64))
    open_read_at: Instants = field(default_factory=lambda: np.empty(0, np.int64))
    unsent_at: Instants = field(default_factory=lambda: np.empty(0, np.int64))
    unsent: Sequence[tuple[str, int, int, bool]] = ()


def know_accounts(
    account_sids: Sequence[str], messages: pa.Table, sent: pa.Table, ledger: pa.Table,
    now: datetime, ages: Ages,
) -> list[KnownAccount]:  # fmt: skip
    """Sum up what the lake holds of each account, all but `unsent`.

    Args:
        account_sids: whose rows to look at.
        messages: rows of `messages` created within the oldest of `ages`, at least those that
            `may_be_open` tells; account_sid, status, price, created_at and sent_at are used.
        sent: account_sid and sent_at of the messages sent within the last of the ages of sent
            ones and a day, and perhaps others: they say how dense messages are.
        ledger: rows of `extractions`.
    """
    # Once for all accounts: of a long history there are a million rows.
    open_rows = _may_be_open(messages)
    known_sids = pa.array(account_sids, pa.string())
    number = map_distinct(sent["account_sid"], lambda sids: pc.index_in(sids, known_sids))
    number_of, sent_at = pc.fill_null(number, -1).to_numpy(), _seconds(sent["sent_at"].fill_null(0))
    is_recent = sent_at >= second_of(now - ages.sent[-1] - timedelta(days=1))
    return [
        _know_account(
            account_sid,
            sent_at[is_recent & (number_of == i)],
            open_rows,
            _of_account(ledger, account_sid),
        )
        for i, account_sid in enumerate(account_sids)
    ]


def know_unsent(
    account_sid: str, messages: pa.Table, ledger: pa.Table
) -> list[tuple[str, int, int, bool]]:
    """`unsent` of an account: which they are.

    Args:
        messages: rows of `messages`, also the column message_sid.
        ledger: rows of `extractions`.
    """
    rows, is_sent, message_at, read_at = _open(
        _of_account(_may_be_open(messages), account_sid), _of_account(ledger, account_sid)
    )
    unsent = np.flatnonzero(~is_sent)
    sids = rows["message_sid"].take(pa.array(unsent)).to_pylist()
    scheduled = _mask(pc.equal(rows["status"], "scheduled"))
    return [
        (sid, int(message_at[i]), int(read_at[i]), bool(scheduled[i]))
        for sid, i in zip(sids, unsent, strict=True)
    ]


def may_be_open() -> str:
    """Which rows of `messages` may be open, as a condition in SQL."""
    final = ", ".join(f"'{status}'" for status in FINAL)
    return f"price is null or status is null or status not in ({final})"


def last_reads(windows: pa.Table, instants: Instants) -> Instants:
    """When the newest reading of a window around each instant was made; 0 where there is none.

    Args:
        windows: rows of `extractions` that were read well, all of one account and dataset.
        instants: seconds since 1970, UTC.
    """
    starts, ends = _seconds(windows["window_start"]), _seconds(windows["window_end"])
    edges = np.unique(np.concatenate([starts, ends]))
    newest = np.zeros(len(edges) + 1, np.int64)
    read_at = _seconds(windows["read_at"])
    for i in np.argsort(read_at, kind="stable"):
        first, last = np.searchsorted(edges, (starts[i], ends[i]))
        newest[first + 1 : last + 1] = read_at[i]
    return newest[np.searchsorted(edges, instants, side="right")]


def looked_for(ledger: pa.Table) -> list[Span]:
    """The time in which the unfiltered list was searched for messages without date_sent.

    A scan that WAREHOUSE_UNSENT_PAGES ended (it says so) has looked as far back as it ever may;
    single messages asked for are no search.

    Args:
        ledger: rows of `extractions` of one account.
    """
    scans = read_well(ledger, "unsent_messages").to_pylist()
    return join_spans(
        (row["window_start"] if row["detail"] is None else row["window_end"] - _BEYOND_RETENTION,
         row["window_end"])
        for row in scans
        if row["window_end"] - row["window_start"] > timedelta(seconds=1)
    )  # fmt: skip


def read_well(ledger: pa.Table, dataset: str) -> pa.Table:
    """The rows of a dataset's windows that were read."""
    return _of_outcome(ledger, dataset, _READ)


def read_badly(ledger: pa.Table, dataset: str) -> pa.Table:
    """The rows of a dataset's windows that are to be read again."""
    return _of_outcome(ledger, dataset, _NOT_READ)


def of_daily_runs(ledger: pa.Table, dataset: str) -> pa.Table:
    """A dataset's rows by runs that keep the lake up to date."""
    is_daily = pc.match_substring_regex(ledger["run_id"], "^(daily|deep-refresh)-")
    return ledger.filter(pc.and_(is_daily, pc.equal(ledger["dataset"], dataset)))


def spans_of(windows: pa.Table) -> list[Span]:
    """The windows of rows of `extractions`."""
    return list(
        zip(windows["window_start"].to_pylist(), windows["window_end"].to_pylist(), strict=True)
    )


def second_of(instant: datetime) -> int:
    """The second since 1970 that an instant is in."""
    return int(instant.timestamp())


def seconds_of(age: timedelta) -> int:
    """An age in whole seconds."""
    return int(age.total_seconds())


def instant_of(second: int) -> datetime:
    """The instant at which a second since 1970 begins."""
    return datetime.fromtimestamp(second, UTC)


def _know_account(
    account_sid: str, sent_at: Instants, may_be_open: pa.Table, ledger: pa.Table
) -> KnownAccount:
    _, is_sent, message_at, read_at = _open(_of_account(may_be_open, account_sid), ledger)
    order = np.argsort(message_at, kind="stable")
    open_sent = order[is_sent[order]]
    return KnownAccount(
        account_sid=account_sid,
        covered=join_spans(spans_of(read_well(ledger, "messages"))),
        since=pc.min(of_daily_runs(ledger, "messages")["window_start"]).as_py(),
        looked=looked_for(ledger),
        failed=spans_of(read_badly(ledger, "messages")),
        sent_at=np.sort(sent_at, kind="stable"),  # of rows nearly in order much the fastest
        open_at=message_at[open_sent],
        open_read_at=read_at[open_sent],
        unsent_at=message_at[~is_sent],
    )


def _of_account(rows: pa.Table, account_sid: str) -> pa.Table:
    return rows.filter(pc.equal(rows["account_sid"], account_sid))


def _is_final(messages: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(messages["status"], value_set=pa.array(FINAL))


def _may_be_open(messages: pa.Table) -> pa.Table:
    """Without those that are closed, whenever they were read."""
    is_closed = pc.and_(_is_final(messages), pc.is_valid(messages["price"]))
    return messages.filter(pc.invert(is_closed))


def _open(rows: pa.Table, ledger: pa.Table) -> tuple[pa.Table, np.ndarray, Instants, Instants]:
    """The open ones of an account's messages that may be; of each: has it date_sent, when was it
    sent or else created, and when was it last read."""
    status, is_sent = rows["status"], _mask(pc.is_valid(rows["sent_at"]))
    message_at = _seconds(pc.coalesce(rows["sent_at"], rows["created_at"]))
    read_at = np.where(
        is_sent,
        last_reads(read_well(ledger, "messages"), message_at),
        last_reads(read_well(ledger, "unsent_messages"), message_at),
    )
    read_age = read_at - message_at
    is_final = _mask(_is_final(rows)) | (
        _mask(pc.equal(status, "sent")) & (read_age >= seconds_of(_SENT_IS_FINAL))
    )
    is_priced = _mask(pc.is_valid(rows["price"])) | (
        _mask(pc.is_in(status, value_set=pa.array(NEVER_PRICED)))
        & (read_age >= seconds_of(_NO_PRICE_IS_FINAL))
    )
    is_open = ~(is_final & is_priced)
    return rows.filter(pa.array(is_open)), is_sent[is_open], message_at[is_open], read_at[is_open]


def _of_outcome(ledger: pa.Table, dataset: str, outcomes: Sequence[str]) -> pa.Table:
    is_one = pc.is_in(ledger["outcome"], value_set=pa.array(outcomes))
    return ledger.filter(pc.and_(is_one, pc.equal(ledger["dataset"], dataset)))


def _mask(values: pa.ChunkedArray) -> np.ndarray:
    mask: np.ndarray = pc.fill_null(values, False).to_numpy().astype(bool)
    return mask


def _seconds(values: pa.ChunkedArray) -> Instants:
    # No instant is before 1970, so that to divide is to round down; numpy takes six times as long.
    instants: Instants = pc.divide(values.cast(pa.int64()), 1_000_000).to_numpy()
    return instants
