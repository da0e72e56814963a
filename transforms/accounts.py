"""Twilio's account records to rows of the lake's `accounts`."""

from __future__ import annotations

import pyarrow as pa

from transforms.dates import parse_rfc2822
from transforms.records import (
    Normalized,
    RecordShape,
    absent,
    as_frame,
    blank_as_null,
    first_reason,
    split_rejects,
)

# auth_token is a secret that Twilio puts into every account record: it is never decoded.
ACCOUNT_RECORD = RecordShape(
    list_key="accounts",
    text=("sid", "friendly_name", "status", "type", "owner_account_sid", "date_created"),
    ignored=("auth_token", "date_updated", "uri"),
    ignored_objects=("subresource_uris",),
)


def normalize_accounts(records: pa.Table) -> Normalized:
    """Rows of `accounts` from decoded account records."""
    reasons = first_reason([(absent(records["sid"]), "it has no sid")], len(records))
    columns = {
        "account_sid": records["sid"],
        "name": blank_as_null(records["friendly_name"]),
        "status": blank_as_null(records["status"]),
        "type": blank_as_null(records["type"]),
        "owner_account_sid": blank_as_null(records["owner_account_sid"]),
        "created_at": parse_rfc2822(records["date_created"]),
    }
    rows = as_frame(columns)
    return Normalized(
        rows=rows[reasons.isna().to_numpy()],
        rejects=split_rejects(records, reasons, ACCOUNT_RECORD),
    )
