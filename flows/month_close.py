"""The month's close: a whole month read once more, when its figures no longer move."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from flows.orchestration import flow
from flows.reading import read
from flows.run import start_run, writing
from flows.settings import read_settings
from flows.summary import Summary, finish
from flows.tasks.alert import alert
from flows.tasks.extract import extract_accounts
from flows.tasks.load import load
from flows.tasks.model import Models, model
from flows.tasks.normalize import normalize
from flows.tasks.plan import plan_month
from flows.tasks.publish import publish
from flows.tasks.report import report


@flow(name="month-close")
def month_close(month: date | None = None, now: datetime | None = None) -> Summary:
    """Read a month whole, messages and usage: the one before `now`'s by default.

    Args:
        month: any day of the month to read.
        now: read as of this instant, for trials; the present by default.

    Raises:
        WrongUseError: the month has not begun or is beyond what Twilio keeps.
        ExtractionFailedError: something could not be read; all the rest was, and is published.
    """
    settings = read_settings()
    run = start_run(settings, now, name="month-close")
    last_month = run.now.date().replace(day=1) - timedelta(days=1)
    with writing(run):
        models = Models(run)
        accounts = extract_accounts(run)
        normalize(run, read(run, plan_month(run, accounts, month or last_month)))
        models.begin()
        load(settings)
        run.notices += model(models)
        publish(settings)
        reports = report(settings)
        run.notices += alert(settings, run.now)
        return finish(run, reports)
