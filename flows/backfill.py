"""The backfill flow: history by months, each kept as soon as it was read."""

from __future__ import annotations

from datetime import date, datetime

from flows.orchestration import flow
from flows.reading import Reading
from flows.run import start_run, writing
from flows.settings import read_settings
from flows.summary import Summary, finish
from flows.tasks.alert import alert
from flows.tasks.extract import extract_accounts
from flows.tasks.load import load
from flows.tasks.model import Models, model
from flows.tasks.normalize import normalize
from flows.tasks.plan import plan_backfill
from flows.tasks.publish import publish
from flows.tasks.report import report


@flow(name="backfill")
def backfill(since: date, until: date | None = None, now: datetime | None = None) -> Summary:
    """Read the UTC days from `since` to `until` (exclusive, today by default), then renew
    warehouse and reports.

    An interrupted range goes on where it stopped; a finished one is read again. Months are read
    side by side and written one by one; another run may write between them.

    Args:
        since: the first UTC day to read.
        until: the day to stop before; today by default.
        now: read as of this instant, for trials; the present by default.

    Raises:
        WrongUseError: the range is empty or wholly beyond what Twilio keeps.
        ExtractionFailedError: something could not be read; all the rest was, and is published.
    """
    settings = read_settings()
    run = start_run(settings, now, name="backfill")
    models = Models(run)
    accounts = extract_accounts(run)
    months = [Reading(run, month) for month in plan_backfill(run, accounts, since, until)]
    for month in months:
        intake = month.wait()
        with writing(run):
            normalize(run, intake)
    with writing(run):
        models.begin()
        load(settings)
        run.notices += model(models)
        publish(settings)
        reports = report(settings)
        run.notices += alert(settings, run.now)
        return finish(run, reports)
