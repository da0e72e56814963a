"""Twilio's daily usage records to rows of the lake's `usage_records`."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from transforms.records import (
    Normalized,
    RecordShape,
    absent,
    as_frame,
    as_series,
    blank_as_null,
    first_reason,
    parse_decimal,
    split_rejects,
    unparsed,
)
from transforms.tables import INSTANT, ONE_PRICE, QUANTITY

# Field types: twilio.com/docs/usage/api/usage-record. The published document types price as a
# number; the wire carries text. A price of a usage record is positive, a message's is negative.
USAGE_RECORD = RecordShape(
    list_key="usage_records",
    text=(
        "account_sid", "category", "description", "start_date", "end_date", "count", "count_unit",
        "usage", "usage_unit", "price", "price_unit", "as_of",
    ),
    ignored=("api_version", "uri"),
    ignored_objects=("subresource_uris",),
)  # fmt: skip


def normalize_usage_records(records: pa.Table) -> Normalized:
    """Rows of `usage_records` from decoded daily records, all-zero ones included."""
    event_count = parse_decimal(records["count"], QUANTITY)
    usage_quantity = parse_decimal(records["usage"], QUANTITY)
    cost = parse_decimal(records["price"], ONE_PRICE)
    usage_date = _parse_date(records["start_date"])
    as_of = _parse_iso(records["as_of"])
    is_one_day = pc.equal(records["start_date"], records["end_date"])
    reasons = first_reason(
        [
            (absent(records["account_sid"]), "it has no account_sid"),
            (absent(records["category"]), "it has no category"),
            (absent(records["price"]), "it has no price"),
            (absent(records["as_of"]), "it has no as_of"),
            (
                unparsed(records["price"], cost),
                "price is no amount of 9 digits and 6 decimals",
            ),
            (unparsed(records["count"], event_count), "count is not a number"),
            (unparsed(records["usage"], usage_quantity), "usage is not a number"),
            (as_series(pc.is_null(usage_date)), "start_date is not a date"),
            (unparsed(records["as_of"], as_of), "as_of is not an ISO 8601 instant"),
            (as_series(pc.invert(pc.fill_null(is_one_day, False))), "it is not of a single day"),
        ],
        len(records),
    )
    columns = {
        "account_sid": records["account_sid"],
        "usage_date": usage_date,
        "category": records["category"],
        "description": blank_as_null(records["description"]),
        "event_count": event_count,
        "count_unit": blank_as_null(records["count_unit"]),
        "usage_quantity": usage_quantity,
        "usage_unit": blank_as_null(records["usage_unit"]),
        "cost": cost,
        "currency": pc.utf8_upper(blank_as_null(records["price_unit"])),
        "as_of": as_of,
    }
    rows = as_frame(columns)
    return Normalized(
        rows=rows[reasons.isna().to_numpy()],
        rejects=split_rejects(records, reasons, USAGE_RECORD),
    )


def _parse_date(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.strptime(values, format="%Y-%m-%d", unit="s", error_is_null=True).cast(pa.date32())


def _parse_iso(values: pa.ChunkedArray) -> pa.ChunkedArray:
    parsed = pd.to_datetime(
        pd.Series(values.to_pandas(), dtype="str"), utc=True, errors="coerce", format="ISO8601"
    )
    return pa.chunked_array([pa.array(parsed, from_pandas=True).cast(INSTANT)])
