"""What each step of a measured program takes, told to whoever measures it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Steps:
    """Stretches of wall and processor time of the whole process, by name.

    Args:
        requests: how many requests the process has made so far; None: it does not know.
    """

    def __init__(self, requests: Callable[[], int] | None = None) -> None:
        self._requests = requests
        self._stretches: list[dict[str, Any]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note what is done within; a step may be done several times."""
        began, cpu = time.perf_counter(), time.process_time()
        asked = self._requests() if self._requests else 0
        try:
            yield
        finally:
            self._stretches.append(
                {
                    "name": name,
                    # Of a clock that all processes of the machine share.
                    "from": began,
                    "until": time.perf_counter(),
                    "cpu": time.process_time() - cpu,
                    "requests": self._requests() - asked if self._requests else None,
                }
            )

    def told(self) -> list[dict[str, Any]]:
        """The stretches, in the order they ended."""
        return self._stretches
