"""Python's own long work waits until the cores have none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from flows import cores
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
        return started(wait_for_a_pause, self.hurry)


@pytest.fixture
def work() -> Iterator[Work]:
    one = Work()
    thread = started(on_a_core, one.do)
    assert one.begun.wait(AT_MOST)
    yield one
    one.may_end.set()
    thread.join(AT_MOST)


def started(call: Callable[..., None], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=call, args=args, daemon=True)
    thread.start()
    return thread


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


def test_work_that_fails_is_done_too() -> None:
    with pytest.raises(ZeroDivisionError):
        on_a_core(lambda: 1 / 0)
    assert has_ended(Work().waiter())


def test_a_pause_is_counted_from_the_end_of_the_last_work(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=100.0)
    monkeypatch.setattr(cores, "time", clock)
    load = cores.Load()
    clock.now = 103.0
    assert load.idle_for() == 3.0
    with load, load:
        clock.now = 110.0
        assert load.idle_for() == 0.0
    assert load.idle_for() == 0.0
    clock.now = 112.0
    assert load.idle_for() == 2.0
