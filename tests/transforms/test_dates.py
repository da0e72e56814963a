"""Twilio's dates, whatever is in the column beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.dates import parse_rfc2822

INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(
    lambda instant: instant.replace(microsecond=0, tzinfo=UTC)
)
OTHERS = st.sampled_from([None, "", "2019-05-24", "Fri, 24 May 2019 17:44:46 GMT", "x" * 31])


def parse(*texts: str | None) -> list[datetime | None]:
    return parse_rfc2822(pa.chunked_array([pa.array(texts, pa.string())])).to_pylist()


@settings(max_examples=200)
@given(rows=st.lists(st.one_of(INSTANTS, OTHERS), max_size=20))
def test_every_date_is_read_and_everything_else_is_null(rows: list[datetime | str | None]) -> None:
    texts = [format_datetime(row) if isinstance(row, datetime) else row for row in rows]
    assert parse(*texts) == [row if isinstance(row, datetime) else None for row in rows]


@pytest.mark.parametrize("other", [None, "x"])
def test_a_part_of_a_column_has_its_own_dates(other: str | None) -> None:
    days = [datetime(2026, 2, day, 12, day, tzinfo=UTC) for day in range(1, 6)]
    texts = pa.array([other, *(format_datetime(day) for day in days), other])
    for start in range(4):
        part = parse_rfc2822(texts.slice(1 + start, 2))
        assert part.to_pylist() == days[start : start + 2]
    assert parse_rfc2822(texts.slice(5)).to_pylist() == [days[-1], None]


def test_a_null_is_no_date_even_if_a_text_is_behind_it() -> None:
    text = format_datetime(datetime(2026, 2, 1, tzinfo=UTC))
    bits, ends = pa.py_buffer(bytes([0b10])), pa.array([0, 31, 62], pa.int32()).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), 2, [bits, ends, pa.py_buffer(2 * text.encode())])
    assert parse_rfc2822(pa.chunked_array([texts])).to_pylist() == [
        None,
        datetime(2026, 2, 1, tzinfo=UTC),
    ]


@settings(max_examples=300)
@given(
    instant=INSTANTS,
    place=st.integers(0, 30),
    character=st.characters(min_codepoint=32, max_codepoint=126),
)
def test_a_date_with_another_character_in_it_is_another_date_or_none(
    instant: datetime, place: int, character: str
) -> None:
    text = format_datetime(instant)
    changed = text[:place] + character + text[place + 1 :]
    try:
        expected = datetime.strptime(changed, "%a, %d %b %Y %H:%M:%S %z")
    except ValueError:
        expected = None
    (found,) = parse(changed)
    # strptime also takes names in any case; so may we, but never another instant.
    assert found in (expected, None)
    if changed == text:
        assert found == instant


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 30 Feb 2026 00:00:00 +0000", "Mon, 31 Nov 2026 00:00:00 +0000",
        "Sun, 29 Feb 2026 00:00:00 +0000", "Mon, 00 Feb 2026 00:00:00 +0000",
        "Mon, 01 Xxx 2026 00:00:00 +0000", "Xxx, 01 Feb 2026 00:00:00 +0000",
        "Sun- 01 Feb 2026 00:00:00 +0000", "Sun+ 01 Feb 2026 00:00:00 +0000",
        "Sun,  1 Feb 2026 00:00:00 +0000", "Sun,/01 Feb 2026 00:00:00 +0000",
        "Mon, 01 Feb 2026 24:00:00 +0000", "Mon, 01 Feb 2026 00:60:00 +0000",
        "Sat, 01 Jan 2000 00:00:60 +0000",
    ],
)  # fmt: skip
def test_what_is_no_date_is_null(text: str) -> None:
    assert parse(text) == [None]


def test_a_part_of_a_longer_column_is_read_as_itself() -> None:
    instants = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(10)]
    texts = pa.array([format_datetime(instant) for instant in instants])
    assert parse_rfc2822(pa.chunked_array([texts.slice(3, 4)])).to_pylist() == instants[3:7]
