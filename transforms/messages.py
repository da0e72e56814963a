"""Twilio's message records to rows of the lake's `messages`."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from transforms.addresses import PhoneNumbers, countries, protect
from transforms.bodies import describe_bodies
from transforms.dates import parse_rfc2822
from transforms.records import (
    EXTRA,
    Normalized,
    RecordShape,
    absent,
    as_frame,
    blank_as_null,
    first_reason,
    parse_decimal,
    parse_integer,
    split_rejects,
    unparsed,
)
from transforms.tables import ONE_PRICE

# Field types: twilio.com/docs/messaging/api/message-resource and Twilio's OpenAPI document.
MESSAGE_RECORD = RecordShape(
    list_key="messages",
    text=(
        "sid", "account_sid", "messaging_service_sid", "direction", "status", "from", "to",
        "date_created", "date_sent", "date_updated", "price", "price_unit", "num_segments",
        "num_media", "body",
    ),
    integers=("error_code",),
    ignored=("api_version", "error_message", "uri"),
    ignored_objects=("subresource_uris",),
    hidden=("body",),
)  # fmt: skip


def normalize_messages(
    records: pa.Table,
    seen_at: datetime,
    *,
    store_bodies: bool = False,
    phone_numbers: PhoneNumbers = "plain",
    phone_key: str = "",
) -> Normalized:
    """Rows of `messages` from decoded records, all but `missing_since` known.

    Args:
        records: columns of text as `decode_page` gives them.
        seen_at: the clock of the run, UTC.
        store_bodies: whether the text itself is kept.
        phone_numbers: how addresses are written.
        phone_key: the key of masked and hashed numbers.
    """
    created_at = parse_rfc2822(records["date_created"])
    sent_at = parse_rfc2822(records["date_sent"])
    updated_at = parse_rfc2822(records["date_updated"])
    price = parse_decimal(records["price"], ONE_PRICE)
    error_code = parse_integer(records["error_code"])
    segment_count = parse_integer(records["num_segments"])
    media_count = parse_integer(records["num_media"])
    is_inbound = pc.equal(records["direction"], "inbound")
    described = describe_bodies(records["body"], is_inbound)
    reasons = first_reason(
        [
            (absent(records["sid"]), "it has no sid"),
            (absent(records["account_sid"]), "it has no account_sid"),
            (absent(records["status"]), "it has no status"),
            (absent(records["direction"]), "it has no direction"),
            (absent(records["date_created"]), "it has no date_created"),
            (unparsed(records["date_created"], created_at), "date_created is not an RFC 2822 date"),
            (unparsed(records["date_sent"], sent_at), "date_sent is not an RFC 2822 date"),
            (unparsed(records["date_updated"], updated_at), "date_updated is not an RFC 2822 date"),
            (
                unparsed(records["price"], price),
                "price is no amount of 9 digits and 6 decimals",
            ),
            (unparsed(records["error_code"], error_code), "error_code is not a whole number"),
            (unparsed(records["num_segments"], segment_count), "num_segments is no whole number"),
            (unparsed(records["num_media"], media_count), "num_media is not a whole number"),
        ],
        len(records),
    )
    protected = records
    for name in ("from", "to", EXTRA):
        position = records.schema.get_field_index(name)
        values = protect(blank_as_null(records[name]), phone_numbers, phone_key)
        protected = protected.set_column(position, name, values)
    other_party = pc.if_else(is_inbound, records["from"], records["to"])
    columns = {
        "message_sid": records["sid"],
        "account_sid": records["account_sid"],
        "messaging_service_sid": blank_as_null(records["messaging_service_sid"]),
        "direction": records["direction"],
        "status": records["status"],
        "error_code": error_code,
        "sender": protected["from"],
        "recipient": protected["to"],
        "country": countries(other_party),
        "created_at": created_at,
        "sent_at": sent_at,
        "updated_at": updated_at,
        "price": price,
        "currency": pc.utf8_upper(blank_as_null(records["price_unit"])),
        "segment_count": segment_count,
        "media_count": media_count,
        "body": records["body"] if store_bodies else pa.nulls(len(records), pa.string()),
        EXTRA: protected[EXTRA],
        "first_seen_at": pa.repeat(pa.scalar(seen_at, pa.timestamp("us", "UTC")), len(records)),
        "missing_since": pa.nulls(len(records), pa.timestamp("us", "UTC")),
    }
    rows = as_frame(columns)
    rows = pd.concat([rows, described], axis="columns")
    rows["last_seen_at"] = rows["first_seen_at"]
    return Normalized(
        rows=rows[reasons.isna().to_numpy()],
        rejects=split_rejects(protected, reasons, MESSAGE_RECORD, kept=described),
    )
