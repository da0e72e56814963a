"""Threads: many that wait for Twilio, and as many as there are cores for the processor's work.

If each that waits also decoded and normalized, each would keep memory of its own for it and they
would only disturb one another.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

CORES = os.cpu_count() or 1
_PAUSE = 0.3  # seconds
_pool = ThreadPoolExecutor(CORES, thread_name_prefix="core")
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Load:
    """How much work the cores have, and since when they have none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._idle_since = time.monotonic()

    def __enter__(self) -> None:
        with self._lock:
            self._calls += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._calls -= 1
            self._idle_since = time.monotonic()

    def idle_for(self) -> float:
        """Seconds."""
        with self._lock:
            return 0.0 if self._calls else time.monotonic() - self._idle_since


_load = Load()


def on_a_core(
    call: Callable[_Given, _Result], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Result:
    """The call's result, once a core had time for it. Never call it from within such a call."""
    with _load:
        return _pool.submit(call, *args, **kwargs).result()


@contextmanager
def threads_that_wait(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for Twilio. Their end is waited for, but not by who interrupts: Twilio may
    take minutes to answer, or to be given up."""
    threads = ThreadPoolExecutor(count, thread_name_prefix="task")
    waits = True
    try:
        yield threads
    except KeyboardInterrupt:
        waits = False
        raise
    finally:
        threads.shutdown(waits, cancel_futures=True)


def wait_for_a_pause(hurry: threading.Event) -> None:
    """Return once the cores have had no work for a moment, or once there is a hurry.

    For what runs in Python alone and can wait: beside it each call of Arrow's would have to wait
    for Python's lock.
    """
    while not hurry.wait(_PAUSE) and _load.idle_for() < _PAUSE:
        pass
