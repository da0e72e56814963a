"""Twilio's usage triggers (spending alerts) to rows of the lake's `usage_triggers`."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from transforms.dates import parse_rfc2822
from transforms.records import (
    Normalized,
    RecordShape,
    absent,
    as_frame,
    blank_as_null,
    first_reason,
    parse_decimal,
    split_rejects,
    unparsed,
)
from transforms.tables import QUANTITY

# The callback URL may carry a secret: it is never kept.
USAGE_TRIGGER_RECORD = RecordShape(
    list_key="usage_triggers",
    text=(
        "sid", "account_sid", "friendly_name", "usage_category", "trigger_by", "trigger_value",
        "current_value", "recurring", "date_fired", "date_created", "date_updated",
    ),
    ignored=("api_version", "callback_method", "callback_url", "uri", "usage_record_uri"),
)  # fmt: skip


def normalize_usage_triggers(records: pa.Table) -> Normalized:
    """Rows of `usage_triggers` from decoded trigger records."""
    # A relative value is written with its sign, `+30`.
    trigger_value = parse_decimal(records["trigger_value"], QUANTITY)
    current_value = parse_decimal(records["current_value"], QUANTITY)
    reasons = first_reason(
        [
            (absent(records["sid"]), "it has no sid"),
            (absent(records["account_sid"]), "it has no account_sid"),
            (absent(records["usage_category"]), "it has no usage_category"),
            (unparsed(records["trigger_value"], trigger_value), "trigger_value is not a number"),
            (unparsed(records["current_value"], current_value), "current_value is not a number"),
        ],
        len(records),
    )
    columns = {
        "usage_trigger_sid": records["sid"],
        "account_sid": records["account_sid"],
        "name": blank_as_null(records["friendly_name"]),
        "usage_category": records["usage_category"],
        "trigger_by": pc.fill_null(records["trigger_by"], "usage"),
        "trigger_value": trigger_value,
        "current_value": current_value,
        "recurring": blank_as_null(records["recurring"]),
        "fired_at": parse_rfc2822(records["date_fired"]),
        "created_at": parse_rfc2822(records["date_created"]),
        "updated_at": parse_rfc2822(records["date_updated"]),
    }
    rows = as_frame(columns)
    return Normalized(
        rows=rows[reasons.isna().to_numpy()],
        rejects=split_rejects(records, reasons, USAGE_TRIGGER_RECORD),
    )
