"""The published warehouse, opened for reading."""

from __future__ import annotations

import duckdb

from flows.errors import WarehouseError
from flows.settings import Settings


def open_published(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the published warehouse, in UTC as all cursors of it.

    Raises:
        WarehouseError: nothing has been published yet.
    """
    if not settings.warehouse.exists():
        raise WarehouseError(
            f"There is no warehouse at {settings.warehouse} yet: run `twilio-warehouse run` first, "
            "or `twilio-warehouse rebuild` if there is a lake."
        )
    connection = duckdb.connect(str(settings.warehouse), read_only=True)
    connection.execute("set global TimeZone = 'UTC'")
    return connection
