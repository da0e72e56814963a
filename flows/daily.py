"""The daily flow: the data's whole path, in the order the data takes it."""

from __future__ import annotations

from datetime import datetime

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
from flows.tasks.plan import plan_daily
from flows.tasks.publish import publish
from flows.tasks.report import report


@flow(name="daily")
def daily(now: datetime | None = None) -> Summary:
    """Read what is new and what may have changed as of `now`, then renew warehouse and reports.

    Args:
        now: read as of this instant, for trials; the present by default.

    Raises:
        ExtractionFailedError: something could not be read; all the rest was, and is published.
    """
    settings = read_settings()
    run = start_run(settings, now, name="daily")
    with writing(run):
        models = Models(run)
        accounts = extract_accounts(run)
        normalize(run, read(run, plan_daily(run, accounts)))
        models.begin()
        load(settings)
        run.notices += model(models)
        publish(settings)
        reports = report(settings)
        run.notices += alert(settings, run.now)
        return finish(run, reports)
