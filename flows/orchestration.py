"""Prefect where a Prefect server watches; the same flows as plain calls where none does.

Flows and tasks are written for Prefect and are its flows and tasks wherever they are imported: in
a worker, a deployment, a notebook. Only the command, run by hand or by cron without a server,
chooses `run_plainly` before it imports them: a temporary server would take longer than a quiet run
(8 of 20 s, measured), and nobody would look at it.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from flows import progress
from flows.cores import threads_that_wait
from flows.deployed import drop_other_late_runs, name_of_run
from flows.errors import WarehouseError
from flows.server import has_server as has_server

# Threads wait for Twilio; how many requests are in flight, WAREHOUSE_CONCURRENCY says. Enough to
# begin all days of two months at once: one that begins late is what is waited for at the end.
WORKERS = 128

_is_plain = False
# A run by hand prints what its operator must know; the rest is for whoever adds a handler.
_own_log = logging.getLogger("flows")
_own_log.addHandler(logging.NullHandler())
_pool: ThreadPoolExecutor | None = None


def run_plainly() -> None:
    """Flows and tasks imported from now on are plain calls."""
    global _is_plain
    _is_plain = True
    # A library of dbt's makes the root logger print, unless something else listens to it.
    logging.getLogger().addHandler(logging.NullHandler())


def is_run_of_prefect() -> bool:
    """Whether the caller is in a flow or task that Prefect runs."""
    if _is_plain:
        return False
    from prefect.context import FlowRunContext, TaskRunContext

    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def logger() -> logging.Logger | logging.LoggerAdapter[Any]:
    """The log of Prefect's run the caller is in; without one, the program's own, `flows`."""
    if is_run_of_prefect():
        from prefect import get_run_logger

        return get_run_logger()
    return _own_log


def flow(name: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A Prefect flow of that name whose submitted tasks run on threads; how its runs end is noted
    and told."""
    if _is_plain:
        return lambda function: _PlainFlow(name, function)
    import prefect
    from prefect.task_runners import ThreadPoolTaskRunner

    runner: Any = ThreadPoolTaskRunner(max_workers=WORKERS)
    return prefect.flow(
        name=name,
        task_runner=runner,
        flow_run_name=name_of_run,
        on_running=[drop_other_late_runs],
        on_completion=[_note_success],
        on_failure=[_note_failure],
        on_crashed=[_note_failure],
        **options,
    )


def _note_success(flow: Any, flow_run: Any, state: Any) -> None:
    from prefect.logging.loggers import flow_run_logger

    for problem in _ended_well(flow.name):
        flow_run_logger(flow_run, flow).warning("%s", problem)


def _note_failure(flow: Any, flow_run: Any, state: Any) -> None:
    from prefect.logging.loggers import flow_run_logger

    error = state.result(raise_on_failure=False)
    if state.is_crashed() or not isinstance(error, Exception):
        error = WarehouseError("Its process ended before the run did.")
    for problem in _ended_badly(flow.name, error):
        flow_run_logger(flow_run, flow).warning("%s", problem)


def _ended_well(name: str) -> list[str]:
    from flows.failing import tell_success

    return tell_success(name)


def _ended_badly(name: str, error: Exception) -> list[str]:
    from flows.failing import tell_failure
    from flows.failures import note_failure

    note_failure(name, error)
    return tell_failure(name, error)


def task(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A Prefect task whose result is never cached: it touches the world."""
    if _is_plain:
        return _PlainTask
    import prefect
    from prefect.cache_policies import NO_CACHE

    return prefect.task(cache_policy=NO_CACHE, **options)


class _PlainFlow:
    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.fn = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        global _pool
        with threads_that_wait(WORKERS) as _pool:
            try:
                result = self.fn(*args, **kwargs)
            except Exception as error:
                for problem in _ended_badly(self.name, error):
                    progress.say(problem)
                raise
            finally:
                _pool = None
        for problem in _ended_well(self.name):
            progress.say(problem)
        return result


class _PlainTask:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.fn = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)

    def submit(self, *args: Any, **kwargs: Any) -> _PlainFuture:
        if _pool is None:
            raise RuntimeError("a task is submitted within a flow")
        return _PlainFuture(_pool.submit(self.fn, *args, **kwargs))


class _PlainFuture:
    """What a submitted task came to, asked for as of Prefect's futures."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def wait(self) -> None:
        self._future.exception()

    @property
    def state(self) -> _PlainState:
        return _PlainState(self._future)


class _PlainState:
    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def is_completed(self) -> bool:
        return self._future.done() and self._future.exception() is None

    @property
    def name(self) -> str:
        return "Completed" if self.is_completed() else "Failed"
