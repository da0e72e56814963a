"""Of a month with many recipients the leaders alone are kept, and followed from day to day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from tests.sql.conftest import Build
from tests.sql.lake_rows import ANA, BEA, EVA, message, read

pytestmark = pytest.mark.xdist_group("sql-leaders")

LEDGER = [
    read(dataset, "2026-09-01 00:00", "2026-11-10 06:00")
    for dataset in ("messages", "unsent_messages")
]
# Of so many one in sixteen is more than a hundred, so that not everybody is a leader.
MANY = [f"many {number:04d}" for number in range(2_400)]
FEW = [f"few {number:03d}" for number in range(400)]
KEPT = (
    "unpublished.intermediate.int_monthly_leaders",
    "unpublished.intermediate.int_past_leaders",
    "intermediate.int_monthly_winners",
    "reports.top_recipients",
    "marts.page_recipients",
)

LAST = "page_recipients"  # what is made of them
Sent = dict[tuple[str, str], int]  # how many messages on a day to a recipient


def before() -> Sent:
    """Two messages to each of many, one to each of a few, three to one."""
    return {
        **{("2026-10-05", name): 1 for name in [*MANY, *FEW]},
        **{("2026-10-06", name): 1 for name in MANY},
        ("2026-10-07", "first"): 3,
        ("2026-09-20", "first"): 1,
    }


def lake(sent: Sent) -> dict[str, Any]:
    number = count()
    messages = [
        message(next(number), f"{day} 12:00", "delivered", recipient=recipient)
        | {"message_sid": f"SM {day} {recipient} {one}"}
        for (day, recipient), of_them in sent.items()
        for one in range(of_them)
    ]
    return {"messages": messages, "extractions": LEDGER}


def kept(build: Build) -> dict[str, list[tuple[Any, ...]]]:
    return {name: build.query(f"from {name} order by all") for name in KEPT}


CHANGES: list[tuple[Sent, int]] = [
    # One joins the leaders, one that led stays, one falls back, one gets more than all.
    ({("2026-10-20", FEW[0]): 1, ("2026-10-06", MANY[0]): 0, ("2026-10-20", MANY[1]): 9}, 2),
    # One that led has left its day and is nowhere; another has all of its messages.
    ({("2026-10-07", "first"): 0, ("2026-10-07", MANY[2]): 3, ("2026-09-20", "first"): 0}, 2),
    # The cutoff rises: of the leaders there were, not all are left.
    ({("2026-10-21", name): 1 for name in MANY[:2_000]}, 3),
    # It falls: who was no leader, and is not on a touched day, is one.
    ({("2026-10-06", name): 0 for name in MANY[:1_600]}, 2),
]


def test_leaders_that_are_followed_are_those_of_all(new_build: Callable[[], Build]) -> None:
    followed, anew = new_build(), new_build()
    sent = before()
    followed.update(lake(sent), upto=LAST)
    for changed, cutoff in CHANGES:
        sent |= changed
        followed.update(lake(sent), upto=LAST)
        ((found, last),) = followed.query(
            "select distinct cutoff, last_recipient "
            "from unpublished.intermediate.int_monthly_leaders where month = '2026-10-01'"
        )
        assert found == cutoff
        counts = Counter[str]()
        for (day, recipient), of_them in sent.items():
            counts[recipient] += of_them if day.startswith("2026-10") else 0
        leaders = followed.query(
            "select recipient, message_count from unpublished.intermediate.int_monthly_leaders "
            "where month = '2026-10-01'"
        )
        # Of those who have as many as the last one, the first in the order of their addresses.
        assert dict(leaders) == {
            name: got
            for name, got in counts.items()
            if got > cutoff or (got == cutoff and name <= last)
        }
        assert 1_000 < len(leaders) < 2_000
    anew.update(lake(sent), upto=LAST)
    assert kept(followed) == kept(anew)


def test_a_run_that_failed_on_its_way_leaves_nobody_behind(new_build: Callable[[], Build]) -> None:
    followed, anew = new_build(), new_build()
    followed.update(lake(before()), upto=LAST)
    # Others would lead now, and the cutoff be another one.
    failed = {("2026-10-21", name): 1 for name in MANY[:2_000]} | {("2026-10-21", FEW[1]): 5}
    for model in ("int_daily_recipients", "int_monthly_leaders"):
        followed.fail_after(lake(before() | failed), model)
    # All is again as it was, but for another day.
    then = lake(before() | {("2026-10-22", FEW[2]): 1})
    followed.update(then, upto=LAST)
    anew.update(then, upto=LAST)
    assert kept(followed) == kept(anew)


def test_what_is_kept_of_the_past_is_computed_anew_with_it(new_build: Callable[[], Build]) -> None:
    followed, anew = new_build(), new_build()
    sent = {("2026-09-20", "past"): 3, ("2026-10-20", "late"): 2, ("2026-11-02", "late"): 2}
    followed.update(lake(sent), upto=LAST)
    # Nothing of the past changes: a wrong figure there would stay.
    followed.query("update unpublished.intermediate.int_past_leaders set country = 'XX'")
    followed.update(lake(sent | {("2026-11-03", "late"): 1}), upto=LAST)
    assert followed.query(
        "select recipient, country from unpublished.intermediate.int_past_leaders"
    ) == [("past", "XX")]
    # It does change now.
    then = lake(sent | {("2026-11-03", "late"): 1, ("2026-09-20", "past"): 4})
    followed.update(then, upto=LAST)
    anew.update(then, upto=LAST)
    assert kept(followed) == kept(anew)


def test_an_account_keeps_its_leaders_while_another_changes(
    new_build: Callable[[], Build],
) -> None:
    followed, anew = new_build(), new_build()
    sent = [message(1, "2026-10-05 12:00", "delivered", account_sid="AC2"),
            message(2, "2026-10-06 12:00", "delivered", recipient=BEA)]  # fmt: skip
    followed.update({"messages": sent, "extractions": LEDGER}, upto=LAST)
    then = {
        "messages": [*sent, message(3, "2026-10-20 12:00", "delivered", recipient=EVA)],
        "extractions": LEDGER,
    }
    followed.update(then, upto=LAST)
    anew.update(then, upto=LAST)
    assert followed.query(
        "select account_sid, recipient from reports.top_recipients order by all"
    ) == [("AC1", BEA), ("AC1", EVA), ("AC2", ANA)]
    assert kept(followed) == kept(anew)


def test_who_has_no_country_has_none_in_any_list(new_build: Callable[[], Build]) -> None:
    build = new_build()
    messages = [
        message(number, f"{day} 12:00", "delivered", recipient=recipient, country=country)
        for number, (day, recipient, country) in enumerate(
            (day, recipient, country)
            for day in ("2026-09-20", "2026-10-20", "2026-11-08")
            for recipient, country in (("22395", None), (ANA, "ES"))
        )
    ]
    build.update({"messages": messages, "extractions": LEDGER}, upto=LAST)
    expected = {("22395", None), (ANA, "ES")}
    for relation in ("reports.top_recipients", "marts.page_recipients",
                     "unpublished.intermediate.int_past_leaders"):  # fmt: skip
        rows = build.query(f"select recipient, country from {relation}")
        assert set(rows) == expected, relation
    periods = build.query("select distinct page_period from marts.page_recipients")
    assert {("all",), ("last_7_days",), ("2026-10",)} <= set(periods)
    # No price is known.
    assert build.query("select distinct currency from reports.top_recipients") == [(None,)]
