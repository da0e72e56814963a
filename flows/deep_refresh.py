"""The deep refresh flow: everything of the last weeks once more."""

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
from flows.tasks.plan import plan_deep_refresh
from flows.tasks.publish import publish
from flows.tasks.report import report


@flow(name="deep-refresh")
def deep_refresh(now: datetime | None = None) -> Summary:
    """Read the last WAREHOUSE_DEEP_DAYS days whole: redactions, deletions and late corrections
    move nothing that a daily run could ask for.

    Args:
        now: read as of this instant, for trials; the present by default.

    Raises:
        ExtractionFailedError: something could not be read; all the rest was, and is published.
    """
    settings = read_settings()
    run = start_run(settings, now, name="deep-refresh")
    with writing(run):
        models = Models(run)
        accounts = extract_accounts(run)
        normalize(run, read(run, plan_deep_refresh(run, accounts)))
        models.begin()
        load(settings)
        run.notices += model(models)
        publish(settings)
        reports = report(settings)
        run.notices += alert(settings, run.now)
        return finish(run, reports)
