"""Write what the published warehouse reports as files people and programs open."""

from __future__ import annotations

import glob
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from flows.cores import CORES
from flows.errors import WarehouseError, WrongUseError
from flows.formats.page_data import has_page
from flows.formats.page_file import write_page
from flows.formats.relations import read_relations
from flows.formats.tables import DIALECTS, write_csv, write_parquet, write_spanish_csv
from flows.formats.workbook import write_workbook
from flows.orchestration import task
from flows.settings import Settings
from flows.texts import LANGUAGES, Texts
from flows.warehouse import open_published

FORMATS = ("csv", "parquet", "xlsx", "html")
_WORKBOOK = "report"
_PAGE = "index"
_ABANDONED_AFTER = 86_400  # seconds; no file takes a day to write


@dataclass(frozen=True)
class Report:
    """One relation of schema `reports`, the workbook or the page of all, and its files."""

    name: str
    row_count: int
    paths: tuple[Path, ...]


@task(name="report")
def report(
    settings: Settings,
    output: Path | None = None,
    formats: Sequence[str] = FORMATS,
    *,
    language: str | None = None,
    csv_dialect: str = "plain",
) -> list[Report]:
    """Export every relation of schema `reports`, ordered by its columns from the first on.

    Args:
        output: the folder, `reports` below the data root by default.
        formats: which of csv, parquet, xlsx and html; the last two are one workbook and one page
            of everything. What an earlier version published may have nothing for the page: then
            it is left out.
        language: of the texts in them, WAREHOUSE_LANGUAGE by default.
        csv_dialect: `plain`, or `excel-es` for Excel in Spanish.

    Raises:
        WrongUseError: a format, the language or the dialect is unknown.
        WarehouseError: nothing has been published yet, or nothing for the page and no other
            format is asked for.
    """
    texts = Texts(_known("language", language or settings.language, LANGUAGES))
    forms = [_known("format", form, FORMATS) for form in dict.fromkeys(formats)]
    is_plain = _known("CSV dialect", csv_dialect, DIALECTS) == "plain"
    write_table = {
        "csv": write_csv if is_plain else write_spanish_csv,
        "parquet": write_parquet,
    }
    folder = settings.reports if output is None else output

    def tables(connection: duckdb.DuckDBPyConnection) -> list[Report]:
        reports = []
        for relation in read_relations(connection, texts):
            paths = [folder / f"{relation.name}.{form}" for form in forms if form in write_table]
            for path in paths:
                with _replaced(path) as new:
                    write_table[path.suffix[1:]](connection, relation, new)
            reports.append(Report(relation.name, relation.row_count, tuple(paths)))
        return reports

    def workbook(connection: duckdb.DuckDBPyConnection) -> list[Report]:
        path = folder / f"{_WORKBOOK}.xlsx"
        relations = read_relations(connection, texts)
        with _replaced(path) as new:
            row_count = write_workbook(connection, relations, texts, settings.timezone, new)
        return [Report(_WORKBOOK, row_count, (path,))]

    def page(connection: duckdb.DuckDBPyConnection) -> list[Report]:
        path = folder / f"{_PAGE}.html"
        with _replaced(path) as new:
            row_count = write_page(connection, texts, settings.timezone, new)
        return [Report(_PAGE, row_count, (path,))]

    with open_published(settings) as connection, ThreadPoolExecutor(CORES) as pool:
        shows_page = "html" in forms and has_page(connection)
        if forms == ["html"] and not shows_page:
            raise WarehouseError(
                "The warehouse was published by an earlier version and has nothing for the page: "
                "run `twilio-warehouse rebuild` first."
            )
        folder.mkdir(parents=True, exist_ok=True)
        parts = [tables] + [workbook] * ("xlsx" in forms) + [page] * shows_page
        # Each on a connection of its own, to the same state of the warehouse.
        done = [pool.submit(part, connection.cursor()) for part in parts]
        return [report for part in done for report in part.result()]


def _known(what: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise WrongUseError(f"Unknown {what} {value}: choose from {', '.join(choices)}.")
    return value


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A file to write that takes the place of another once it is whole.

    Its name is its own: who reports by hand beside a run writes another one, and the last to be
    whole stays.
    """
    _remove_abandoned(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.writing")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_abandoned(path: Path) -> None:
    """Remove what a process that was killed left behind of a file; what is being written stays."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.writing"):
        with suppress(FileNotFoundError):  # another took it
            if time.time() - left.stat().st_mtime > _ABANDONED_AFTER:
                left.unlink()
