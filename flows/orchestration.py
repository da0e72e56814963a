"""Prefect where a Prefect server watches; the same flows as plain calls where none does.

Flows and tasks are written for Prefect and are its flows and tasks wherever they are imported: in
a worker, a deployment, a notebook. Only the command, run by hand or by cron without a server,
chooses `run_plainly` before it imports them: a temporary server would take longer than a quiet run
(8 of 20 s, measured), and nobody would look at it.
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

# Threads wait for Twilio; how many requests are in flight, WAREHOUSE_CONCURRENCY says.
WORKERS = 64

_is_plain = False
_pool: ThreadPoolExecutor | None = None


def run_plainly() -> None:
    """Flows and tasks imported from now on are plain calls."""
    global _is_plain
    _is_plain = True


def has_server() -> bool:
    """Whether this machine's Prefect is told of a server, by its environment or its profile."""
    if os.environ.get("PREFECT_API_URL"):
        return True
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text(encoding="utf-8"))
        name = os.environ.get("PREFECT_PROFILE") or profiles["active"]
        return bool(profiles["profiles"][name].get("PREFECT_API_URL"))
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def flow(name: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A Prefect flow of that name whose submitted tasks run on threads."""
    if _is_plain:
        return _PlainFlow
    import prefect
    from prefect.task_runners import ThreadPoolTaskRunner

    runner: Any = ThreadPoolTaskRunner(max_workers=WORKERS)
    return prefect.flow(name=name, task_runner=runner, **options)


def task(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A Prefect task whose result is never cached: it touches the world."""
    if _is_plain:
        return _PlainTask
    import prefect
    from prefect.cache_policies import NO_CACHE

    return prefect.task(cache_policy=NO_CACHE, **options)


class _PlainFlow:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.fn = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        global _pool
        _pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="task")
        try:
            return self.fn(*args, **kwargs)
        finally:
            _pool.shutdown(cancel_futures=True)
            _pool = None


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
