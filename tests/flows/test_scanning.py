"""Windows wait for a scan that is about to reach them, and for no other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from datetime import UTC, datetime, timedelta

import pytest

from flows.scanning import Scans
from transforms.windows import Window

NOW = datetime(2026, 11, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def window(first: float, last: float, account_sid: str = "AC1") -> Window:
    """From `first` days ago until `last` days ago."""
    return Window("messages", account_sid, NOW - first * DAY, NOW - last * DAY)


@pytest.fixture
def scans() -> Scans:
    """A scan of ten days whose length nobody knows yet."""
    announced = Scans()
    announced.announce(Window("unsent_messages", "AC1", NOW - 10 * DAY, NOW), None)
    return announced


def test_a_window_waits_until_the_scan_has_passed_it(scans: Scans) -> None:
    with ThreadPoolExecutor() as pool:
        covered = pool.submit(scans.covers, window(3, 2))
        left = pool.submit(scans.left_of, window(3, 2))
        scans.advance("AC1", NOW - DAY, NOW - 10 * DAY)
        with pytest.raises(NotYetError):
            covered.result(0.05)
        assert not left.done()
        scans.advance("AC1", NOW - 3 * DAY, NOW - 10 * DAY)
        assert covered.result(5)
        assert left.result(5) is None


def test_a_scan_that_passes_one_window_leaves_others_waiting(scans: Scans) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(scans.left_of, window(days, days - 1)) for days in (3, 5, 7)]
        scans.advance("AC1", NOW - 3 * DAY, NOW - 10 * DAY)
        assert waiting[0].result(5) is None
        with pytest.raises(NotYetError):
            waiting[1].result(0.05)
        # It stops within the second; the third is told that all of it is left.
        scans.advance("AC1", NOW - 4.5 * DAY, NOW - 4.5 * DAY)
        scans.end("AC1")
        assert waiting[1].result(5) == window(5, 4.5)
        assert waiting[2].result(5) == window(7, 6)


def test_a_window_that_the_scan_is_not_going_to_reach_does_not_wait(scans: Scans) -> None:
    scans.advance("AC1", NOW - DAY, NOW - 4 * DAY)
    for untouched in (window(5, 4), window(9, 8)):
        assert not scans.covers(untouched)
        assert scans.left_of(untouched) == untouched


def test_a_scan_that_ended_early_leaves_the_window_to_be_read(scans: Scans) -> None:
    with ThreadPoolExecutor() as pool:
        covered = pool.submit(scans.covers, window(3, 2))
        scans.advance("AC1", NOW - 2 * DAY, NOW - 9 * DAY)
        scans.end("AC1")
        assert not covered.result(5)
    assert scans.left_of(window(3, 2)) == window(3, 2)
    assert scans.covers(window(2, 1))


def test_of_a_window_the_scan_ended_in_only_the_rest_is_read(scans: Scans) -> None:
    with ThreadPoolExecutor() as pool:
        left = pool.submit(scans.left_of, window(4, 1))
        scans.advance("AC1", NOW - 2 * DAY, NOW - 3 * DAY)
        with pytest.raises(NotYetError):
            left.result(0.05)
        # single messages of it, which are asked for by name, do not wait
        assert not scans.covers(window(4, 1))
        scans.advance("AC1", NOW - 3 * DAY, NOW - 3 * DAY)
        scans.end("AC1")
        assert left.result(5) == window(4, 3)


def test_an_account_without_a_scan_and_time_after_it_are_not_covered(scans: Scans) -> None:
    scans.advance("AC1", NOW - 10 * DAY, NOW - 10 * DAY)
    later = Window("messages", "AC1", NOW - DAY, NOW + DAY)
    for unread in (window(3, 2, "AC2"), later):
        assert not scans.covers(unread)
        assert scans.left_of(unread) == unread
