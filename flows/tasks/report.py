"""Write what the published warehouse reports as files people open."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.errors import WrongUseError
from flows.settings import Settings
from flows.warehouse import open_published

_COPY_OPTIONS = {"csv": "format csv, header", "parquet": "format parquet, compression zstd"}
FORMATS = tuple(_COPY_OPTIONS)


@dataclass(frozen=True)
class Report:
    """One relation of schema `reports` and the files it was written to."""

    name: str
    row_count: int
    paths: tuple[Path, ...]


@task(name="report", cache_policy=NO_CACHE)
def report(
    settings: Settings, output: Path | None = None, formats: Sequence[str] = FORMATS
) -> list[Report]:
    """Export every relation of schema `reports`, ordered by its columns from the first on.

    Args:
        output: the folder, `reports` below the data root by default.
        formats: which of csv and parquet.

    Raises:
        WrongUseError: a format is unknown.
        WarehouseError: nothing has been published yet.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise WrongUseError(
            f"Unknown format {', '.join(unknown)}: choose from {', '.join(FORMATS)}."
        )
    folder = settings.reports if output is None else output
    with open_published(settings) as connection:
        folder.mkdir(parents=True, exist_ok=True)
        names = [
            name
            for (name,) in connection.execute(
                "select table_name from information_schema.tables "
                "where table_schema = 'reports' order by all"
            ).fetchall()
        ]
        return [_export(connection, name, folder, formats) for name in names]


def _export(
    connection: duckdb.DuckDBPyConnection, name: str, folder: Path, formats: Sequence[str]
) -> Report:
    paths = []
    for form in formats:
        path = folder / f"{name}.{form}"
        temporary = path.with_name(f".{path.name}.writing")
        target = str(temporary).replace("'", "''")
        connection.execute(
            f"copy (from reports.{name} order by all) to '{target}' ({_COPY_OPTIONS[form]})"
        )
        os.replace(temporary, path)
        paths.append(path)
    ((row_count,),) = connection.execute(f"select count(*) from reports.{name}").fetchall()
    return Report(name, row_count, tuple(paths))
