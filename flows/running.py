"""Run a flow from the command: with or without a Prefect server, with progress, without noise."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from flows import progress

if TYPE_CHECKING:
    from flows.summary import Summary


def run_flow(name: str, **parameters: Any) -> Summary:
    """Call the flow `flows.<name>.<name>`; errors that Prefect would log are left to the caller.

    Without PREFECT_API_URL Prefect starts a server of its own for as long as the flow runs.
    """
    quiet_prefect()
    flow = getattr(importlib.import_module(f"flows.{name}"), name)
    if not sys.stderr.isatty():
        summary: Summary = flow(**parameters)
        return summary
    with progress.shown():
        shown: Summary = flow(**parameters)
        return shown


def quiet_prefect() -> None:
    """Settings of Prefect for a run by hand; to be made before Prefect is imported."""
    for variable, value in {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # The command prints each error once, without a traceback.
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        # A temporary server forgets the logs with its end.
        "PREFECT_LOGGING_TO_API_ENABLED": "true" if "PREFECT_API_URL" in os.environ else "false",
        # Its first start on a slow disk, with the migrations of its database, takes a while.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }.items():
        os.environ.setdefault(variable, value)
