"""What we take from Twilio: endpoint, parameters of a window, record shape, normalizer, table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from flows.settings import Settings
from transforms.accounts import ACCOUNT_RECORD, normalize_accounts
from transforms.messages import MESSAGE_RECORD, normalize_messages
from transforms.records import Normalized, RecordShape
from transforms.tables import (
    ACCOUNTS,
    MESSAGES,
    USAGE_RECORDS,
    USAGE_TRIGGERS,
    Table,
)
from transforms.usage_records import USAGE_RECORD, normalize_usage_records
from transforms.usage_triggers import USAGE_TRIGGER_RECORD, normalize_usage_triggers
from transforms.windows import Window

PAGE_SIZE = "1000"  # the most Twilio gives; 50 unless asked


@dataclass(frozen=True)
class Dataset:
    """One thing Twilio is asked for.

    Attributes:
        name: its name in the ledger; equal to the lake table but for the scan of unsent messages.
        resource: path of the list below the account.
        shape: what its records look like.
        table: where its rows go.
        parameters: the query of a window's first page.
        normalize: decoded records, the run's clock and the settings to rows.
        belongs: which rows are of their window, given each row's window start and end; None: all.
        ordered_by: for a list without a filter, the fields of the instant by which it is ordered,
            newest first: reading stops once that lies before the window.
    """

    name: str
    resource: str
    shape: RecordShape
    table: Table
    parameters: Callable[[Window], dict[str, str]]
    normalize: Callable[[pa.Table, datetime, Settings], Normalized]
    belongs: Callable[[pa.Table, pa.Array, pa.Array], pa.ChunkedArray] | None = None
    ordered_by: tuple[str, ...] = ()


def _sent_between(window: Window) -> dict[str, str]:
    # Both bounds are inclusive and times of day are honoured, though only dates are documented
    # (twilio.com/docs/messaging/api/message-resource, github.com/twilio/twilio-oai/issues/21).
    # The end is therefore sent as it is and its own second filtered out by `belongs`.
    return {
        "DateSent>": f"{window.start:%Y-%m-%dT%H:%M:%SZ}",
        "DateSent<": f"{window.end:%Y-%m-%dT%H:%M:%SZ}",
    }


def _is_sent_between(rows: pa.Table, starts: pa.Array, ends: pa.Array) -> pa.ChunkedArray:
    sent_at = rows["sent_at"]
    is_between = pc.and_(pc.greater_equal(sent_at, starts), pc.less(sent_at, ends))
    # That the filter hides messages without date_sent is not documented; one it shows is kept.
    return pc.fill_null(is_between, True)


def _is_between(rows: pa.Table, starts: pa.Array, ends: pa.Array) -> pa.ChunkedArray:
    message_at = pc.coalesce(rows["sent_at"], rows["created_at"])
    return pc.and_(pc.greater_equal(message_at, starts), pc.less(message_at, ends))


def _normalize_messages(records: pa.Table, seen_at: datetime, settings: Settings) -> Normalized:
    return normalize_messages(
        records,
        seen_at,
        store_bodies=settings.store_bodies,
        phone_numbers=settings.phone_numbers,
        phone_key=settings.phone_key.get_secret_value(),
    )


def _usage_days(window: Window) -> dict[str, str]:
    # GMT dates, both inclusive; sub-accounts are asked for one by one, or their usage would be
    # counted twice (twilio.com/docs/usage/api/usage-record).
    last = window.end - timedelta(microseconds=1)
    return {
        "StartDate": f"{window.start:%Y-%m-%d}",
        "EndDate": f"{last:%Y-%m-%d}",
        "IncludeSubaccounts": "false",
    }


MESSAGES_SENT = Dataset(
    name="messages",
    resource="Messages.json",
    shape=MESSAGE_RECORD,
    table=MESSAGES,
    parameters=_sent_between,
    normalize=_normalize_messages,
    belongs=_is_sent_between,
)
MESSAGES_UNSENT = Dataset(
    name="unsent_messages",
    resource="Messages.json",
    shape=MESSAGE_RECORD,
    table=MESSAGES,
    parameters=lambda window: {},
    normalize=_normalize_messages,
    belongs=_is_between,
    ordered_by=("date_sent", "date_created"),
)
USAGE = Dataset(
    name="usage_records",
    resource="Usage/Records/Daily.json",
    shape=USAGE_RECORD,
    table=USAGE_RECORDS,
    parameters=_usage_days,
    normalize=lambda records, seen_at, settings: normalize_usage_records(records),
)
TRIGGERS = Dataset(
    name="usage_triggers",
    resource="Usage/Triggers.json",
    shape=USAGE_TRIGGER_RECORD,
    table=USAGE_TRIGGERS,
    parameters=lambda window: {},
    normalize=lambda records, seen_at, settings: normalize_usage_triggers(records),
)
ACCOUNT_LIST = Dataset(
    name="accounts",
    resource="Accounts.json",
    shape=ACCOUNT_RECORD,
    table=ACCOUNTS,
    parameters=lambda window: {},
    normalize=lambda records, seen_at, settings: normalize_accounts(records),
)

DATASETS = {
    dataset.name: dataset
    for dataset in (MESSAGES_SENT, MESSAGES_UNSENT, USAGE, TRIGGERS, ACCOUNT_LIST)
}
