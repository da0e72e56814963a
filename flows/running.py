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
    for variable, value in {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # The command prints each error once, without a traceback.
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        # Its first start on a slow disk, with the migrations of its database, takes a while.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }.items():
        os.environ.setdefault(variable, value)
    flow = getattr(importlib.import_module(f"flows.{name}"), name)
    if not sys.stderr.isatty():
        summary: Summary = flow(**parameters)
        return summary
    with progress.shown():
        shown: Summary = flow(**parameters)
        return shown
