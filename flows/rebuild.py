"""The rebuild flow: warehouse and reports from the lake alone."""

from __future__ import annotations

from flows.orchestration import flow
from flows.run import start_run, writing
from flows.settings import read_settings
from flows.summary import Summary, finish
from flows.tasks.alert import alert
from flows.tasks.load import begin_anew, load
from flows.tasks.model import Models, model
from flows.tasks.normalize import readmit
from flows.tasks.publish import publish
from flows.tasks.report import report


@flow(name="rebuild")
def rebuild() -> Summary:
    """Try what is in quarantine again, then compute everything right of the lake anew; Twilio is
    asked nothing."""
    settings = read_settings()
    run = start_run(settings, name="rebuild")
    with writing(run):
        models = Models(run)
        readmit(run)
        begin_anew(settings)
        models.begin()
        load(settings)
        run.notices += model(models)
        publish(settings)
        reports = report(settings)
        run.notices += alert(settings, run.now)
        return finish(run, reports)
