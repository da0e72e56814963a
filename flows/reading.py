"""From Twilio to the lake: extract windows side by side, then normalize what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows import progress
from flows.run import Extraction, Run
from flows.tasks.extract import extract, extract_singles
from flows.tasks.normalize import Intake
from transforms.windows import Planned, Window


class Reading:
    """Windows being read side by side into one intake."""

    def __init__(self, run: Run, planned: Sequence[Planned]) -> None:
        self.intake = Intake(run)
        self._scans = run.scans
        self._futures: list[tuple[Window, Any]] = []
        progress.plan(len(planned))
        for entry in planned:
            if _is_scan(entry.window):
                self._scans.announce(entry.window, entry.requests)
        for entry in sorted(planned, key=_turn):
            task = extract_singles if entry.window.message_sids else extract
            future = task.submit(entry.window, run, self.intake)
            self._futures.append((entry.window, future))

    def wait(self) -> Intake:
        """The intake, once every window has been read or has failed: a window that fails keeps no
        other from being read, and is in the ledger."""
        for window, future in self._futures:
            future.wait()
            if _is_scan(window):
                # If its task died before it began, nobody has told those who wait for it.
                self._scans.end(window.account_sid)
            if not future.state.is_completed() and not self.intake.has_word_of(window):
                detail = f"The task ended as {future.state.name} without a word."
                self.intake.record(Extraction(window, "failed", 0, 0, detail))
        return self.intake


def read(run: Run, planned: Sequence[Planned]) -> Intake:
    """Read the windows; what came waits in the intake."""
    return Reading(run, planned).wait()


def _is_scan(window: Window) -> bool:
    return window.dataset == "unsent_messages" and not window.message_sids


def _turn(entry: Planned) -> tuple[bool, object]:
    """Scans and the rest first; then message windows, oldest first: the scan comes towards them
    from the newest, and windows that wait for it shall keep no other from being read."""
    return entry.window.dataset == "messages" or bool(entry.window.message_sids), entry.window.start
