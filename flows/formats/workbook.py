"""All reports as one Excel workbook: a summary first, then a sheet a report.

Every text goes in as text, so nothing in the data can become a formula or a link.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import duckdb
import xlsxwriter.workbook
from xlsxwriter.worksheet import Worksheet

from flows.formats.relations import Relation, read_kpis, read_titles, titles_of
from flows.formats.report_sheet import extent_of, write_report
from flows.formats.styles import Styles
from flows.formats.summary_sheet import Contents, read_facts, write_summary
from flows.texts import Texts

_NAME_CHARACTERS = 31
# Two steps below zlib's usual level take three fifths less time for a ninth more bytes. XlsxWriter
# has no setting for it.
xlsxwriter.workbook.ZipFile = partial(ZipFile, compresslevel=4)


def write_workbook(
    connection: duckdb.DuckDBPyConnection,
    relations: Sequence[Relation],
    texts: Texts,
    timezone: str,
    path: Path,
) -> int:
    """Write the workbook in constant memory; how many rows its sheets hold together.

    Args:
        timezone: the report time zone.
        path: a file that is replaced; its folder exists.
    """
    facts = read_facts(connection, timezone)
    known, kpis = read_titles(connection, texts), read_kpis(connection)
    titles = {
        column.name: found
        for relation in relations
        for column in relation.columns
        if column.kind == "text" and (found := titles_of(column.name, known))
    }
    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    try:
        # Not the moment of writing: the same warehouse gives the same file.
        created = {} if facts.as_of is None else {"created": facts.as_of}
        workbook.set_properties({"title": texts.say("sheet.title"), **created})
        styles = Styles(workbook, texts)
        names = SheetNames()
        summary = _add_sheet(workbook, names.take(texts.say("sheet.summary")))
        contents = []
        for relation in relations:
            name = names.take(texts.title(relation.name))
            extent = extent_of(connection, relation, texts)
            cut_count = write_report(
                connection, _add_sheet(workbook, name), relation, extent, texts, styles,
                titles, kpis, facts.currency_of,
            )  # fmt: skip
            contents.append(Contents(name, relation, extent, cut_count))
        write_summary(connection, summary, facts, contents, texts, styles, titles, kpis)
    finally:
        workbook.close()
    return sum(entry.extent.row_count for entry in contents)


def _add_sheet(workbook: xlsxwriter.Workbook, name: str) -> Worksheet:
    """A sheet that prints well: sideways, as wide as the paper."""
    sheet = workbook.add_worksheet(name)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    return sheet


class SheetNames:
    """Names Excel takes for sheets: short, without some signs, and no two alike."""

    def __init__(self) -> None:
        # Excel keeps this name for itself.
        self._taken = {"history"}

    def take(self, wanted: str) -> str:
        """The name wanted, or the nearest one that Excel allows and that is free."""
        name = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", wanted).strip(" '") or "-"
        name = name[:_NAME_CHARACTERS].strip(" '")
        number, free = 1, name
        while free.lower() in self._taken:
            number += 1
            ending = f" {number}"
            free = name[: _NAME_CHARACTERS - len(ending)] + ending
        self._taken.add(free.lower())
        return free
