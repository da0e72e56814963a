"""Twilio's dates: RFC 2822 text to UTC instants."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_INSTANT = pa.timestamp("us", tz="UTC")
# The least and the greatest sign of each place of a date as Twilio writes it: a day of 16, two
# numbers of eight bytes, and a time (twilio.com/docs/messaging/api/message-resource). They let pass
# other names, a day 39 and an hour 29, which are looked at once they are numbers.
_LEAST = np.frombuffer(b"AAA, 00 AAA 0000 00:00:00 +0000", dtype=np.uint8)
_GREATEST = np.frombuffer(b"zzz, 39 zzz 9999 29:59:59 +0000", dtype=np.uint8)
_LENGTH, _DAY = len(_LEAST), 16
_WEEKDAYS = "Mon Tue Wed Thu Fri Sat Sun"
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
# strptime itself would take more: no year of four digits, a second 60, an offset of 30 hours.
_FORM = r"^[A-Za-z]{3}, \d{1,2} [A-Za-z]{3} \d{4} \d{2}:\d{2}:[0-5]\d [+-](0\d|1[0-4])[0-5]\d$"
_END_OF_MONTH = r"^\D*(29|30|31)\D.*\+0000$"


def parse_rfc2822(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """`Fri, 24 May 2019 17:44:46 +0000` to UTC instants; null where it is no such text, or a day
    that does not exist.

    Text of exactly Twilio's form is read as bytes, all rows at once: ten times as fast as
    strptime, which also holds up other threads. Any other form is left to strptime.
    """
    texts = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    seconds, is_read = read_twilios_form(texts)
    instants = pa.array(seconds, pa.int64(), mask=~is_read).cast(pa.timestamp("s")).cast(
        pa.timestamp("us")
    ).cast(_INSTANT)  # fmt: skip
    rest = np.asarray(pc.is_valid(texts)) & ~is_read
    if rest.any():
        left = pa.array(rest)
        instants = pc.replace_with_mask(instants, left, _read_any_form(texts.filter(left)))
    return pa.chunked_array([instants])


def read_twilios_form(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since 1970, and where the text has Twilio's form and names an instant."""
    seconds = np.zeros(len(texts), dtype=np.int64)
    ends = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset :][: len(texts) + 1]
    is_read = np.diff(ends) == _LENGTH
    if texts.null_count:
        is_read &= np.asarray(texts.is_valid())
    regular = texts if is_read.all() else texts.filter(pa.array(is_read))
    if not len(regular):
        return seconds, is_read
    start = int(np.frombuffer(regular.buffers()[1], dtype=np.int32)[regular.offset])
    content = np.frombuffer(regular.buffers()[2], dtype=np.uint8)
    rows = content[start : start + len(regular) * _LENGTH].reshape(-1, _LENGTH)
    digits, is_good = _above_least(rows, _DAY, _LENGTH)
    hour, minute, second = (digits[i] * 10 + digits[i + 1] for i in (1, 4, 7))
    of_day = hour * np.int32(3600) + minute * np.int32(60) + second
    is_good &= hour < 24
    # Lists are in order of time: the day is read once for all rows in a row that have the same.
    first, last = np.ascontiguousarray(rows[:, :_DAY]).view(np.int64).T
    is_first = np.ones(len(rows), dtype=bool)
    is_first[1:] = (first[1:] != first[:-1]) | (last[1:] != last[:-1])
    day, is_day = _read_days(rows[is_first])
    number = np.cumsum(is_first) - 1
    seconds[is_read] = day[number] * 86_400 + of_day
    is_read[is_read] = is_good & is_day[number]
    return seconds, is_read


def _read_days(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970 of texts like `Fri, 24 May 2019`, and where these name a day."""
    digits, is_good = _above_least(rows, 0, _DAY)
    day = digits[5] * 10 + digits[6]
    year = np.array([1000, 100, 10, 1]) @ digits[12:16]
    _, is_weekday = _named(rows[:, 0:3].T, _WEEKDAYS)
    month, is_month = _named(rows[:, 8:11].T, _MONTHS)
    months = ((year - 1970) * 12 + month).astype("datetime64[M]")
    dates = months.astype("datetime64[D]") + (day - np.int64(1))
    is_good &= is_weekday & is_month & (day > 0)
    is_good &= dates.astype("datetime64[M]") == months  # 30 Feb is no day
    return dates.astype(np.int64), is_good


def _above_least(rows: np.ndarray, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each sign of some places is above the least one there, which of a digit is its value,
    and where all are signs that may stand there."""
    # Place by place, of all rows: numbers of one byte, many of which are compared at once.
    least, greatest = _LEAST[start:end, np.newaxis], _GREATEST[start:end, np.newaxis]
    signs = np.ascontiguousarray(rows[:, start:end].T) - least
    return signs, np.all(signs <= greatest - least, axis=0)


def _named(letters: np.ndarray, names: str) -> tuple[np.ndarray, np.ndarray]:
    """The number of each three-letter name, and whether it is one."""
    codes = np.array([int.from_bytes(name.encode(), "big") for name in names.split()])
    order = np.argsort(codes)
    code = np.array([1 << 16, 1 << 8, 1]) @ letters.astype(np.int64)
    place = np.minimum(np.searchsorted(codes[order], code), len(codes) - 1)
    return order[place], codes[order][place] == code


def _read_any_form(texts: pa.StringArray) -> pa.Array:
    parsed = pc.strptime(
        texts, format="%a, %d %b %Y %H:%M:%S %z", unit="us", error_is_null=True
    ).cast(_INSTANT)
    # 30 Feb would become 2 March: a day so high, and a date so low, cannot be.
    may_roll_over = pc.fill_null(pc.less_equal(pc.day(parsed), 3), False)
    rolled_over = pc.and_(may_roll_over, pc.match_substring_regex(texts, _END_OF_MONTH))
    is_form = pc.match_substring_regex(texts, _FORM)
    return pc.if_else(pc.or_(rolled_over, pc.invert(is_form)), None, parsed)
