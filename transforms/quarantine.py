"""Quarantined records as they would be received again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa

from transforms.records import EXTRA, RecordShape


def reopen(records: Sequence[str], shape: RecordShape) -> tuple[pa.Table, pd.DataFrame]:
    """The columns a page of these records would have, and what was derived of hidden fields.

    Args:
        records: column `record` of `rejects`: JSON, without hidden fields, with what is derived
            of them.
    """
    opened: list[dict[str, Any]] = [orjson.loads(record) for record in records]
    names = (*shape.kept, EXTRA)
    columns = pa.Table.from_pylist(
        [{name: record.get(name) for name in names} for record in opened], schema=shape.columns
    )
    derived = pd.DataFrame(
        [{k: v for k, v in record.items() if k not in names} for record in opened]
    )
    return columns, derived
