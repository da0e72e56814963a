"""Run a flow from the command: with or without a Prefect server, with progress, without noise."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from flows import orchestration, progress

if TYPE_CHECKING:
    from flows.summary import Summary

_UNWRITTEN = 120  # Python's own exit code where its output could not be written


def run_flow(name: str, **parameters: Any) -> Summary:
    """Call the flow `flows.<name>.<name>`; errors that Prefect would log are left to the caller.

    It is a run of Prefect's if there is a server, else the same steps without Prefect.
    """
    prepare()
    flow = getattr(importlib.import_module(f"flows.{name}"), name)
    if not sys.stderr.isatty():
        summary: Summary = flow(**parameters)
        return summary
    with progress.shown():
        shown: Summary = flow(**parameters)
        return shown


def prepare() -> None:
    """Say how flows are to be run, before any is imported."""
    if not orchestration.has_server():
        orchestration.run_plainly()
    _quiet_prefect()
    # dbt makes a million objects that live to the end: to look through them again and again for
    # garbage takes a twentieth of a run.
    gc.set_threshold(100_000, 20, 100)
    # Arrow would give memory back to the system after 10 ms and ask for it again for the next page,
    # zeros and all: a thirtieth of reading. It looks at this when it is imported.
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "1000")


def leave(code: int) -> NoReturn:
    """End the process, with what it printed.

    Python itself would first look for garbage in all that dbt made, half a second of every run, and
    wait for threads that wait for Twilio. Only Prefect has something to do yet: to send its log.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if orchestration.has_server():
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # who called may have closed it
                stream.flush()
        except OSError:
            code = code or _UNWRITTEN
    os._exit(code)


def _quiet_prefect() -> None:
    """Settings of Prefect for a run by hand; to be made before Prefect is imported."""
    for variable, value in {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # The command prints each error once, without a traceback.
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
    }.items():
        os.environ.setdefault(variable, value)
