"""Rows of a lake made by hand, short to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from transforms.tables import Table, conform

Rows = Sequence[Mapping[str, Any]]
LakeRows = Mapping[str, Rows]

ANA, BEA, EVA = "+34600000001", "+34600000002", "+34600000003"
LAST_RUN = datetime(2026, 11, 10, 6, tzinfo=UTC)


def at(text: str) -> datetime:
    """An instant, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def message(number: int, moment: str, status: str, **values: Any) -> dict[str, Any]:
    """An outbound SMS to Ana, sent when it was created."""
    return {
        "message_sid": f"SM{number}",
        "account_sid": "AC1",
        "direction": "outbound-api",
        "status": status,
        "sender": "+34910000000",
        "recipient": ANA,
        "country": "ES",
        "created_at": at(moment),
        "sent_at": at(moment),
        "segment_count": 1,
        "media_count": 0,
        **values,
    }


def priced(price: str) -> dict[str, Any]:
    """What Twilio charges for a message."""
    return {"price": Decimal(price), "currency": "USD"}


def read(
    dataset: str, start: str, end: str, read_at: datetime = LAST_RUN, outcome: str = "ok",
    account_sid: str = "AC1",
) -> dict[str, Any]:  # fmt: skip
    """A row of the ledger."""
    return {
        "run_id": f"{read_at}",
        "dataset": dataset,
        "account_sid": account_sid,
        "window_start": at(start),
        "window_end": at(end),
        "read_at": read_at,
        "outcome": outcome,
    }


def usage(day: str, category: str, cost: str, **values: Any) -> dict[str, Any]:
    """A row of Twilio's usage records."""
    return {
        "account_sid": "AC1",
        "usage_date": date.fromisoformat(day),
        "category": category,
        "cost": Decimal(cost),
        "currency": "USD",
        **values,
    }


def typed(table: Table, rows: Rows) -> pa.Table:
    """The rows with the lake's columns and types; what a row does not name is null, 0 or empty."""
    return conform(
        table,
        pa.table(
            {
                field.name: pa.array(
                    [row[field.name] if field.name in row else _nothing(field) for row in rows],
                    field.type,
                )
                for field in table.schema
            }
        ),
    )


def _nothing(field: pa.Field) -> Any:
    if field.nullable:
        return None
    if pa.types.is_timestamp(field.type):
        return datetime(2026, 1, 1, tzinfo=UTC)
    return pa.scalar(0).cast(field.type).as_py()
