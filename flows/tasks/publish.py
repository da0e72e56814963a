"""Put the tested build in the place readers open, in one step."""

from __future__ import annotations

import os
import shutil

import duckdb

from flows.lake import sync_folder
from flows.orchestration import task
from flows.settings import Settings

_PUBLISHED_SCHEMAS = ("lake", "marts", "reports", "alerts")


@task(name="publish")
def publish(settings: Settings) -> None:
    """Replace the published warehouse by a copy of the build file, without what is private.

    Readers that have the old file open keep it; whoever opens it next sees the new one.
    """
    # The same file name in another folder: a view may carry the name of its database.
    temporary = settings.build / "publish" / settings.warehouse.name
    shutil.rmtree(temporary.parent, ignore_errors=True)
    temporary.parent.mkdir(parents=True)
    shutil.copyfile(settings.build_file, temporary)
    with duckdb.connect(str(temporary)) as connection:
        # What DuckDB leaves of its metadata as an earlier build wrote it, 1.1 may not find.
        connection.execute("set experimental_metadata_reuse = false")
        schemas = connection.execute(
            "select schema_name from duckdb_schemas() where not internal"
        ).fetchall()
        for (schema,) in schemas:
            if schema not in (*_PUBLISHED_SCHEMAS, "main"):
                connection.execute(f'drop schema "{schema}" cascade')
        connection.execute("drop view lake.touched_messages")
        connection.execute("drop view lake.changed_messages")
        connection.execute("drop table lake.touched_days")
        connection.execute("checkpoint")
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, settings.warehouse)
    sync_folder(settings.root)
