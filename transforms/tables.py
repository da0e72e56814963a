"""The lake's tables: columns, types, keys, meanings; and `conform`, the one gate into the lake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import pyarrow as pa

MONEY = pa.decimal128(18, 6)
# One price above 999,999,999 is a mistake, and a sum of such would not fit MONEY.
ONE_PRICE = pa.decimal128(15, 6)
QUANTITY = pa.decimal128(24, 6)
INSTANT = pa.timestamp("us", tz="UTC")

Period = Literal["day", "month"]


@dataclass(frozen=True)
class Partition:
    """How a table's rows are spread over files: by the UTC day or month of one column."""

    name: str
    column: str
    period: Period


@dataclass(frozen=True)
class Table:
    """One table of the lake.

    Attributes:
        name: the table's folder in the lake and its name in schema `lake`.
        row: what one row is, in a sentence.
        key: the columns that identify a row; empty where rows have no identity.
        schema: columns in order, with type, nullability and meaning.
        order: the columns by which the rows of a file are sorted.
        partition: how rows are spread over files; None for a table of one file.
    """

    name: str
    row: str
    key: tuple[str, ...]
    schema: pa.Schema
    order: tuple[str, ...]
    partition: Partition | None = None

    def meaning(self, column: str) -> str:
        """The description of a column."""
        metadata = self.schema.field(column).metadata or {}
        return str(metadata[b"meaning"].decode())


def column(name: str, kind: pa.DataType, meaning: str, *, nullable: bool = False) -> pa.Field:
    """A column with its meaning; never null unless it says so."""
    return pa.field(name, kind, nullable=nullable, metadata={"meaning": meaning})


MESSAGES = Table(
    name="messages",
    row="One message, as Twilio last reported it.",
    key=("message_sid",),
    order=("account_sid", "created_at", "message_sid"),
    partition=Partition("created_date", "created_at", "day"),
    schema=pa.schema(
        [
            column("message_sid", pa.string(), "Twilio's identifier of the message (SM… or MM…)."),
            column("account_sid", pa.string(), "The account or sub-account that owns the message."),
            column(
                "messaging_service_sid",
                pa.string(),
                "The messaging service that sent it; null when sent from a number directly.",
                nullable=True,
            ),
            column(
                "direction",
                pa.string(),
                "Twilio's direction: inbound, outbound-api, outbound-call or outbound-reply.",
            ),
            column("status", pa.string(), "Twilio's newest known status; unknown ones are kept."),
            column(
                "error_code",
                pa.int32(),
                "Twilio's error code; null when there is none.",
                nullable=True,
            ),
            column(
                "sender",
                pa.string(),
                "Address it came from, as Twilio wrote it; null until a service picks one.",
                nullable=True,
            ),
            column(
                "recipient", pa.string(), "Address it went to, as Twilio wrote it.", nullable=True
            ),
            column(
                "country",
                pa.string(),
                "ISO 3166 alpha-2 country of the other party's number; null if it has none.",
                nullable=True,
            ),
            column("created_at", INSTANT, "When Twilio created the message (UTC)."),
            column(
                "sent_at",
                INSTANT,
                "When it was sent, or received if inbound (UTC); null until then.",
                nullable=True,
            ),
            column(
                "updated_at", INSTANT, "When Twilio last changed the message (UTC).", nullable=True
            ),
            column(
                "price",
                MONEY,
                "Twilio's price of the whole message, negative for a charge; null: not priced yet.",
                nullable=True,
            ),
            column(
                "currency", pa.string(), "ISO 4217 currency of price, upper case.", nullable=True
            ),
            column(
                "segment_count",
                pa.int32(),
                "Segments the body was split into; 0 until Twilio knows.",
                nullable=True,
            ),
            column("media_count", pa.int32(), "Attached media files.", nullable=True),
            column(
                "body_length",
                pa.int32(),
                "Characters in the body; 0 when empty or redacted, null when Twilio gave none.",
                nullable=True,
            ),
            column(
                "body_encoding",
                pa.string(),
                "Encoding the body needs: gsm7 or ucs2; null without a body.",
                nullable=True,
            ),
            column(
                "is_opt_out_request",
                pa.bool_(),
                "Whether it is an inbound request to stop (STOP, BAJA …).",
            ),
            column(
                "body",
                pa.string(),
                "The text; null unless WAREHOUSE_STORE_BODIES is on.",
                nullable=True,
            ),
            column(
                "extra",
                pa.string(),
                "JSON of the fields Twilio sent that this table has no column for.",
                nullable=True,
            ),
            column("first_seen_at", INSTANT, "When a run first saw the message (UTC)."),
            column("last_seen_at", INSTANT, "When a run last saw one of its values change (UTC)."),
            column(
                "missing_since",
                INSTANT,
                "First complete read of its window that no longer had it (UTC); null while listed.",
                nullable=True,
            ),
        ]
    ),
)

MESSAGE_CHANGES = Table(
    name="message_changes",
    row="One observed change of one field of one message.",
    key=("message_sid", "field", "observed_at"),
    order=("observed_at", "message_sid", "field"),
    partition=Partition("observed_date", "observed_at", "day"),
    schema=pa.schema(
        [
            column("message_sid", pa.string(), "The message that changed."),
            column("field", pa.string(), "The column that changed, or `redaction`."),
            column("observed_at", INSTANT, "When a run saw the change (UTC)."),
            column("account_sid", pa.string(), "The account that owns the message."),
            column("old_value", pa.string(), "The value held before, as text.", nullable=True),
            column("new_value", pa.string(), "The value seen now, as text.", nullable=True),
        ]
    ),
)

USAGE_RECORDS = Table(
    name="usage_records",
    row="One usage category on one day of one account alone (without its sub-accounts).",
    key=("account_sid", "usage_date", "category"),
    order=("account_sid", "usage_date", "category"),
    partition=Partition("usage_month", "usage_date", "month"),
    schema=pa.schema(
        [
            column("account_sid", pa.string(), "The account the usage belongs to."),
            column("usage_date", pa.date32(), "The day, in GMT as Twilio bills."),
            column(
                "category",
                pa.string(),
                "Twilio's usage category; many contain others, never add all.",
            ),
            column("description", pa.string(), "Twilio's description of it.", nullable=True),
            column(
                "event_count",
                QUANTITY,
                "Number of events (messages, calls …).",
                nullable=True,
            ),
            column("count_unit", pa.string(), "Unit of event_count.", nullable=True),
            column(
                "usage_quantity",
                QUANTITY,
                "Billed quantity (segments, minutes …).",
                nullable=True,
            ),
            column("usage_unit", pa.string(), "Unit of usage_quantity.", nullable=True),
            column("cost", MONEY, "Cost of the day, positive for a charge."),
            column(
                "currency", pa.string(), "ISO 4217 currency of cost, upper case.", nullable=True
            ),
            column("as_of", INSTANT, "Moment up to which Twilio had computed it (UTC)."),
        ]
    ),
)

ACCOUNTS = Table(
    name="accounts",
    row="One account or sub-account the credentials reach.",
    key=("account_sid",),
    order=("account_sid",),
    schema=pa.schema(
        [
            column("account_sid", pa.string(), "Twilio's identifier of the account."),
            column("name", pa.string(), "The account's friendly name.", nullable=True),
            column("status", pa.string(), "active, suspended or closed.", nullable=True),
            column("type", pa.string(), "Full or Trial.", nullable=True),
            column(
                "owner_account_sid",
                pa.string(),
                "The parent account; its own identifier for a main account.",
                nullable=True,
            ),
            column("created_at", INSTANT, "When the account was created (UTC).", nullable=True),
        ]
    ),
)

USAGE_TRIGGERS = Table(
    name="usage_triggers",
    row="One spending alert set up in Twilio.",
    key=("usage_trigger_sid",),
    order=("usage_trigger_sid",),
    schema=pa.schema(
        [
            column("usage_trigger_sid", pa.string(), "Twilio's identifier of the trigger."),
            column("account_sid", pa.string(), "The account it watches."),
            column("name", pa.string(), "Its friendly name.", nullable=True),
            column("usage_category", pa.string(), "The usage category it watches."),
            column("trigger_by", pa.string(), "What it measures: count, usage or price."),
            column("trigger_value", QUANTITY, "The value at which it fires.", nullable=True),
            column("current_value", QUANTITY, "The value when it was last read.", nullable=True),
            column("recurring", pa.string(), "daily, monthly, yearly or alltime.", nullable=True),
            column("fired_at", INSTANT, "When it last fired (UTC).", nullable=True),
            column("created_at", INSTANT, "When it was set up (UTC).", nullable=True),
            column("updated_at", INSTANT, "When it last changed (UTC).", nullable=True),
        ]
    ),
)

EXTRACTIONS = Table(
    name="extractions",
    row="One window that one run asked Twilio for, and what came of it: the ledger.",
    key=("run_id", "dataset", "account_sid", "window_start", "window_end"),
    order=("read_at", "run_id", "dataset", "account_sid", "window_start"),
    partition=Partition("read_month", "read_at", "month"),
    schema=pa.schema(
        [
            column("run_id", pa.string(), "The run that asked."),
            column("dataset", pa.string(), "What was asked for: the dataset's name."),
            column("account_sid", pa.string(), "The account asked about."),
            column("window_start", INSTANT, "First instant asked for (UTC)."),
            column("window_end", INSTANT, "End of what was asked for, exclusive (UTC)."),
            column("read_at", INSTANT, "The clock of the run that read it (UTC)."),
            column("outcome", pa.string(), "ok, empty, denied, not_found, retention or failed."),
            column("page_count", pa.int32(), "Pages received."),
            column("record_count", pa.int64(), "Records received."),
            column("detail", pa.string(), "Why it was not ok, for people.", nullable=True),
        ]
    ),
)

REJECTS = Table(
    name="rejects",
    row="One record that could not be normalized, kept with its reason.",
    key=(),
    order=("rejected_at", "dataset", "account_sid", "record"),
    partition=Partition("rejected_month", "rejected_at", "month"),
    schema=pa.schema(
        [
            column("run_id", pa.string(), "The run that received it."),
            column("dataset", pa.string(), "The dataset it belongs to."),
            column("account_sid", pa.string(), "The account it was asked of."),
            column("rejected_at", INSTANT, "The clock of the run that received it (UTC)."),
            column("reason", pa.string(), "Why it could not be normalized."),
            column("record", pa.string(), "The record as received, body and secrets removed."),
        ]
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        MESSAGES,
        MESSAGE_CHANGES,
        USAGE_RECORDS,
        ACCOUNTS,
        USAGE_TRIGGERS,
        EXTRACTIONS,
        REJECTS,
    )
}


def conform(table: Table, rows: pd.DataFrame | pa.Table) -> pa.Table:
    """The rows with exactly the table's columns, order, types and nullability.

    Raises:
        ValueError: a column is missing or unknown, a value does not fit its type without loss,
            or a null stands where none may; the message names table and column.
    """
    given: Sequence[str] = (
        rows.column_names if isinstance(rows, pa.Table) else [str(name) for name in rows.columns]
    )
    wanted = table.schema.names
    if sorted(given) != sorted(wanted):
        missing, unknown = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
        raise ValueError(f"{table.name}: columns missing {missing}, unknown {unknown}")
    arrays = []
    for field in table.schema:
        values = rows[field.name]
        if isinstance(values, pd.Series):
            values = pa.array(values, from_pandas=True)
        try:
            # ChunkedArray.cast and Array.cast both refuse what would lose digits.
            values = values.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ValueError(f"{table.name}.{field.name}: {error}") from error
        if not field.nullable and values.null_count:
            raise ValueError(f"{table.name}.{field.name}: {values.null_count} null value(s)")
        arrays.append(values)
    return pa.Table.from_arrays(arrays, schema=table.schema)
