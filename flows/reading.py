"""From Twilio to the lake: extract windows side by side, then normalize what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows import progress
from flows.run import Run
from flows.tasks.extract import extract
from flows.tasks.normalize import Intake, normalize
from transforms.windows import Window

# Threads wait for Twilio; how many requests are in flight, WAREHOUSE_CONCURRENCY says.
WORKERS: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=64)


def read(run: Run, windows: Sequence[Window]) -> None:
    """Read the windows and merge their rows into the lake as one step.

    A window that fails keeps no other from being read; it is in the ledger and in the run.
    """
    intake = Intake(run, run.settings.build / "intake")
    progress.plan(len(windows))
    # The scan for messages without date_sent sees the newest ones with it too: the days it
    # reaches need not be asked for again. So message windows wait for it.
    later = [window for window in windows if window.dataset == "messages"]
    sooner = [window for window in windows if window.dataset != "messages"]
    for group in (sooner, later):
        futures = [extract.submit(window, run, intake.add) for window in group]
        for future in futures:
            future.wait()
    normalize(run, intake)
