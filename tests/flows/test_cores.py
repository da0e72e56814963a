"""Python's own long work waits until the cores have none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from flows.cores import on_a_core, wait_for_a_pause

AT_MOST = 60.0  # seconds, for what is there at once


@dataclass
class Work:
    """Something a core does until it is told to end, and somebody who waits for a pause."""

    begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)

    def do(self) -> None:
        self.begun.set()
        assert self.may_end.wait(AT_MOST)

    def waiter(self) -> threading.Thread:
        thread = threading.Thread(target=wait_for_a_pause, args=(self.hurry,))
        thread.start()
        return thread


@pytest.fixture
def work() -> Iterator[Work]:
    one = Work()
    thread = threading.Thread(target=on_a_core, args=(one.do,))
    thread.start()
    assert one.begun.wait(AT_MOST)
    yield one
    one.may_end.set()
    thread.join(AT_MOST)


def has_ended(thread: threading.Thread, within: float = AT_MOST) -> bool:
    thread.join(within)
    return not thread.is_alive()


def test_waits_until_the_work_is_done(work: Work) -> None:
    waiter = work.waiter()
    assert not has_ended(waiter, within=1.0)
    work.may_end.set()
    assert has_ended(waiter)


def test_does_not_wait_where_there_is_a_hurry(work: Work) -> None:
    waiter = work.waiter()
    work.hurry.set()
    assert has_ended(waiter)


def test_work_that_fails_is_done_too(work: Work) -> None:
    with pytest.raises(ZeroDivisionError):
        on_a_core(lambda: 1 / 0)
    waiter = work.waiter()
    work.may_end.set()
    assert has_ended(waiter)
