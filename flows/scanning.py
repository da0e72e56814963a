"""How far the unfiltered scan of each account has come: what it has read is not asked for again.

The scan goes from the newest message back, one page after the other. Windows of the same account
are read side by side with it, oldest first; one that the scan is about to reach waits for it, and
reads what it left.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from transforms.windows import Window


@dataclass
class _Scan:
    start: datetime  # where it shall end
    end: datetime  # where it began, the newest instant
    reached: datetime  # all messages from here to `end` were read
    expected: datetime | None  # about how far it will get; None: nobody knows yet
    is_over: bool = False


class Scans:
    """The scans of one run, by account. Any thread may call any method."""

    def __init__(self) -> None:
        self._scans: dict[str, _Scan] = {}
        self._lock = threading.Lock()
        self._waiting: list[tuple[Callable[[], bool], threading.Event]] = []

    def announce(self, window: Window, pages: int | None) -> None:
        """A scan of the window is going to be made; `pages`: how many it is expected to take."""
        with self._lock:
            self._scans[window.account_sid] = _Scan(
                window.start, window.end, window.end, None if pages is None else window.start
            )

    def advance(self, account_sid: str, reached: datetime, expected: datetime) -> None:
        """All from the newest message back to `reached` was read; it may get to `expected`."""
        with self._lock:
            scan = self._scans[account_sid]
            scan.reached = min(max(reached, scan.start), scan.end)
            scan.expected = max(expected, scan.start)
            self._wake()

    def passed(self, window: Window) -> Window | None:
        """What of a scan's window it has read by now, newest first; None: nothing."""
        with self._lock:
            reached = self._scans[window.account_sid].reached
        return dataclasses.replace(window, start=reached) if reached < window.end else None

    def end(self, account_sid: str) -> None:
        """It reads no more pages."""
        with self._lock:
            self._scans[account_sid].is_over = True
            self._wake()

    def covers(self, window: Window) -> bool:
        """Whether the account's scan has read all messages of the window.

        Waits for the scan where it is likely to get to the window's start.
        """
        return self._left_of(window, lambda expected: expected <= window.start) is None

    def left_of(self, window: Window) -> Window | None:
        """What of the window the account's scan has not read; None: nothing.

        Waits for the scan where it is likely to get into the window.
        """
        return self._left_of(window, lambda expected: expected < window.end)

    def _left_of(self, window: Window, is_near: Callable[[datetime], bool]) -> Window | None:
        with self._lock:
            scan = self._scans.get(window.account_sid)
            if scan is None or window.end > scan.end:
                return window

            def is_decided() -> bool:
                return (
                    scan.is_over
                    or scan.reached <= window.start
                    or (scan.expected is not None and not is_near(scan.expected))
                )

            decided = threading.Event()
            self._waiting.append((is_decided, decided))
            self._wake()  # it may be decided already
        decided.wait()
        with self._lock:
            if scan.reached <= window.start:
                return None
            return dataclasses.replace(window, end=min(window.end, scan.reached))

    def _wake(self) -> None:
        # Only those whose question is decided: each who wakes up stops who decodes.
        left = []
        for is_decided, decided in self._waiting:
            if is_decided():
                decided.set()
            else:
                left.append((is_decided, decided))
        self._waiting = left
