"""The demonstration compares what it wrote with the truth as strictly as the values allow."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from flows.demo import first_difference


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("0.500000", Decimal("0.5")),
        ("", None),
        ("true", True),
        ("2026-11-01", date(2026, 11, 1)),
        ("7", 7),
        ("0.3333333", 1 / 3),  # a double with fewer digits
    ],
)
def test_a_cell_that_says_the_same_is_no_difference(written: str, wanted: Any) -> None:
    assert first_difference("costs", [{"cell": written}], [{"cell": wanted}]) is None


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("98765.432101", Decimal("98765.432100")),  # a millionth of a dollar is one
        ("1000001", 1000000),
        ("0.34", 1 / 3),
        ("", Decimal(0)),
        ("nothing", Decimal(0)),
        ("1", True),
        ("0", None),
    ],
)
def test_money_and_counts_are_compared_to_the_last_digit(written: str, wanted: Any) -> None:
    difference = first_difference("costs", [{"cell": written}], [{"cell": wanted}])
    assert difference is not None
    assert "costs row 1 cell" in difference
