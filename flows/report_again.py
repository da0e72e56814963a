"""The report flow: the reports once more, from what is published."""

from __future__ import annotations

from typing import Literal

from flows.orchestration import flow
from flows.run import start_run
from flows.settings import read_settings
from flows.summary import Summary, finish
from flows.tasks.report import FORMATS, report


@flow(name="report")
def report_again(
    language: Literal["en", "es"] | None = None,
    formats: list[Literal["csv", "parquet", "xlsx", "html"]] | None = None,
) -> Summary:
    """Write the reports again from the published warehouse; Twilio is asked nothing.

    Args:
        language: of the texts in them; WAREHOUSE_LANGUAGE by default.
        formats: which of csv, parquet, xlsx and html; all by default.

    Raises:
        WarehouseError: nothing has been published yet.
    """
    settings = read_settings()
    run = start_run(settings, name="report")
    return finish(run, report(settings, None, formats or FORMATS, language=language))
