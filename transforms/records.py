"""A page of a Twilio list, as bytes, to columns of text: no Python object per record.

Twilio writes almost every value as a string (twilio.com/docs/messaging/api/message-resource), so
a column of text is what was received. The whole page is parsed by Arrow; only a page that Arrow
refuses (a value of another JSON type than Twilio documents) is read record by record.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from transforms.dates import parse_rfc2822, read_twilios_form
from transforms.distinct import map_distinct

EXTRA = "extra"
_DECODER = json.JSONDecoder()
_OBJECTS_BEFORE = 8  # nested ones that may stand between a record's begin and its identifier
_RECORD_BYTES = 1 << 16  # more than a record has behind its identifier


@dataclass(frozen=True)
class RecordShape:
    """What one kind of Twilio record looks like on the wire.

    Attributes:
        list_key: the key of the page's list.
        text: fields kept, JSON strings on the wire.
        integers: fields kept, JSON numbers on the wire; kept as text too.
        ignored: text Twilio documents and nobody needs (links, secrets); never kept.
        ignored_objects: the same of JSON objects.
        hidden: kept fields that must not be shown in a quarantined record.
    """

    list_key: str
    text: tuple[str, ...]
    integers: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    ignored_objects: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns a decoded page has, besides `extra`."""
        return self.text + self.integers

    @property
    def known(self) -> set[str]:
        """The fields Twilio documents."""
        return {*self.kept, *self.ignored, *self.ignored_objects}

    @functools.cached_property
    def columns(self) -> pa.Schema:
        """The schema of a decoded page: every kept field and `extra`, as text."""
        return pa.schema([(name, pa.string()) for name in (*self.kept, EXTRA)])

    @functools.cached_property
    def wire(self) -> pa.Schema:
        """The schema Arrow parses a page with; fields not named here are inferred.

        A record's fields are in the order of their names, as in the examples that Twilio publishes
        (twilio.com/docs/messaging/api/message-resource): so Arrow finds each without looking. Of a
        page in another order it looks for each, as it would anyway.
        """
        fields: dict[str, pa.DataType] = dict.fromkeys(self.known, pa.string())
        fields |= dict.fromkeys(self.integers, pa.int64())
        fields |= dict.fromkeys(self.ignored_objects, pa.struct([]))
        record = pa.struct(sorted(fields.items()))
        return pa.schema([(self.list_key, pa.list_(record)), ("next_page_uri", pa.string())])


@dataclass(frozen=True)
class Page:
    """One decoded page: its records as columns of text, and where the next page is."""

    records: pa.Table
    next_page_uri: str | None


class NewestFirst:
    """Whether the pages of a list really are ordered by an instant, newest first.

    Args:
        fields: the fields of the instant: the first of them that a record has.
    """

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.is_kept = True
        self.columns = ["sid", *fields]
        self._fields = fields
        self._last: int | None = None
        self._sids = pa.chunked_array([], pa.string())

    def look_at(self, pages: Sequence[pa.Table]) -> None:
        """The records of the next pages, at least their `columns`. Those that the page before had
        too may stand anywhere.

        Several in their order take hardly longer than one.
        """
        if not pages or not self.is_kept:
            return
        if not self._go_on(pa.concat_tables(pages)):
            for records in pages:
                if not self._go_on(records):
                    is_new = pc.invert(pc.is_in(records["sid"], value_set=self._sids))
                    self.is_kept &= self._go_on(records.filter(is_new))
                self._sids = records["sid"]
        self._sids = pages[-1]["sid"]

    def _seconds_of(self, records: pa.Table) -> np.ndarray:
        """Their instants, in seconds since 1970, of those that have one."""
        texts = pc.coalesce(*(records[name] for name in self._fields)).combine_chunks()
        seconds, is_read = read_twilios_form(texts)
        if not is_read.all():
            texts = pc.coalesce(*(blank_as_null(records[name]) for name in self._fields))
            microseconds = parse_rfc2822(texts).drop_null().cast(pa.int64()).to_numpy()
            seconds = microseconds // 1_000_000
        return seconds

    def _go_on(self, records: pa.Table) -> bool:
        """Whether none is later than one before it: then they have been looked at."""
        seconds = self._seconds_of(records)
        before = [] if self._last is None else [self._last]
        if (np.diff(np.concatenate([before, seconds])) > 0).any():
            return False
        if len(seconds):
            self._last = int(seconds[-1])
        return True


@dataclass(frozen=True)
class Normalized:
    """Rows ready for `conform`, and the records that could not become rows.

    `rejects` has the columns `account_sid`, `reason` and `record` (JSON, nothing secret in it).
    """

    rows: pd.DataFrame
    rejects: pd.DataFrame


def decode_page(content: bytes, shape: RecordShape) -> Page:
    """The page's records as columns of text.

    Raises:
        ValueError: the content is not JSON or has no list under `shape.list_key`: a broken answer.
    """
    content = _as_utf8(content)
    if not content.lstrip().startswith(b"{"):
        # Arrow would die of some texts that are no object, of `null` for one.
        return _decode_page_by_record(content, shape)
    parse = pa.json.ParseOptions(explicit_schema=shape.wire, unexpected_field_behavior="infer")
    # All in one block, in which lines may end anywhere. Of several each would have to hold whole
    # texts, and Arrow would refuse the page.
    read = pa.json.ReadOptions(use_threads=False, block_size=max(len(content) + 1, 1 << 12))
    try:
        # What reads a whole file would make a thread for it, and wait for its end.
        table = pa.json.open_json(pa.BufferReader(content), read, parse).read_all()
    except pa.ArrowInvalid:
        return _decode_page_by_record(content, shape)
    if len(table) != 1 or table[shape.list_key].null_count:
        return _decode_page_by_record(content, shape)
    pages = table[shape.list_key].chunk(0)
    structs = pages.flatten()
    if structs.null_count:
        return _decode_page_by_record(content, shape)
    names = [field.name for field in structs.type]
    values = dict(zip(names, structs.flatten(), strict=True))
    columns = [values[name] for name in shape.text]
    columns += [values[name].cast(pa.string()) for name in shape.integers]
    unknown = [values[name] for name in set(names) - shape.known]
    columns.append(_extra_column(content, unknown, values[shape.kept[0]], shape))
    return Page(
        pa.Table.from_arrays(columns, schema=shape.columns), table["next_page_uri"][0].as_py()
    )


def decode_records(records: Iterable[Any], shape: RecordShape) -> pa.Table:
    """Records already parsed from JSON, as columns of text; what is no text stays as its JSON."""
    rows = []
    for record in records:
        # What is no object has no field by whose name its body could be told and left out.
        fields = record if isinstance(record, dict) else {"not_an_object": type(record).__name__}
        row: dict[str, str | None] = {name: _as_text(fields.get(name)) for name in shape.kept}
        row[EXTRA] = next(iter(_extras([fields], shape)))
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=shape.columns)


def split_rejects(
    records: pa.Table, reasons: pd.Series, shape: RecordShape, kept: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The quarantine rows of those records that have a reason (a null reason: none).

    The frame's index says which record each was. `kept` has columns to show in the record in
    place of its hidden fields.
    """
    bad = reasons.notna().to_numpy(dtype=bool)
    if not bad.any():
        return pd.DataFrame({"account_sid": [], "reason": [], "record": []}, dtype="str")
    shown = records.drop_columns([name for name in shape.hidden if name in records.column_names])
    rows = shown.filter(pa.array(bad)).to_pylist()
    derived: Sequence[dict[Any, Any]] = (
        [{}] * len(rows) if kept is None else kept[bad].to_dict("records")
    )
    return pd.DataFrame(
        {
            "account_sid": [row.get("account_sid") or "" for row in rows],
            "reason": reasons[bad].tolist(),
            "record": [
                orjson.dumps({k: v for k, v in {**row, **more}.items() if not pd.isna(v)}).decode()
                for row, more in zip(rows, derived, strict=True)
            ],
        },
        dtype="str",
        index=bad.nonzero()[0],
    )


def load_json(content: bytes) -> Any:
    """What a JSON text says; half a character, as a cut emoji leaves it, becomes U+FFFD.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        # Python's own reader takes lone surrogates and NaN, as some of Twilio's answers have.
        text = content.decode("utf-8", "replace")
        return json.loads(_without_surrogates(json.dumps(json.loads(text), ensure_ascii=False)))


def parse_decimal(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Text to exact decimals of up to 6 places; null where it is empty or is no such number."""
    digits = kind.precision - kind.scale
    form = rf"^[+-]?\d{{1,{digits}}}(\.\d{{1,{kind.scale}}}0*)?$"

    def parse(texts: pa.Array) -> pa.Array:
        fits = pc.match_substring_regex(texts, form)
        # Zeros past the scale lose nothing, but the cast would refuse them.
        plain = pc.replace_substring_regex(
            pc.if_else(fits, texts, None), rf"(\.\d{{{kind.scale}}})0+$", r"\1"
        )
        return plain.cast(kind)

    return map_distinct(values, parse)


def parse_integer(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text to 32-bit integers; null where it is empty or is no whole number."""

    def parse(texts: pa.Array) -> pa.Array:
        fits = pc.match_substring_regex(texts, r"^\d{1,9}$")
        return pc.if_else(fits, texts, None).cast(pa.int32())

    return map_distinct(values, parse)


def unparsed(raw: pa.ChunkedArray, parsed: pa.ChunkedArray) -> pd.Series:
    """Where a text was given and nothing came of it."""
    given = pc.and_(pc.is_valid(raw), pc.not_equal(pc.fill_null(raw, ""), ""))
    return as_series(pc.and_(given, pc.is_null(parsed)))


def absent(values: pa.ChunkedArray) -> pd.Series:
    """Where a value is null or empty."""
    return as_series(pc.equal(pc.fill_null(values, ""), ""))


def blank_as_null(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text with every empty string as null: Twilio uses both for nothing."""
    return pc.if_else(pc.equal(values, ""), None, values)


def as_frame(columns: Mapping[str, pa.ChunkedArray | pa.Array]) -> pd.DataFrame:
    """Arrow columns as a pandas frame over the same memory."""
    # Of arrays: pandas would put Series in line with one another, a quarter of what a call costs.
    return pd.DataFrame(
        {name: pd.arrays.ArrowExtensionArray(values) for name, values in columns.items()}
    )


def as_series(values: pa.ChunkedArray | pa.Array) -> pd.Series:
    """Arrow values as a pandas Series over the same memory."""
    return pd.Series(pd.arrays.ArrowExtensionArray(values))


def first_reason(problems: Sequence[tuple[pd.Series, str]], length: int) -> pd.Series:
    """For each row the first problem's text; null for a row with none."""
    reasons = pd.Series([None] * length, dtype="object")
    for mask, text in problems:
        hit = mask.to_numpy(dtype=bool, na_value=False)
        if hit.any():
            reasons[hit & reasons.isna().to_numpy()] = text
    return reasons


def _as_utf8(content: bytes) -> bytes:
    """The content, with U+FFFD for what is not UTF-8: no later step could read it."""
    try:
        # Arrow looks at the bytes alone; to decode them takes a tenth of reading a page.
        ends = pa.py_buffer(np.array([0, len(content)], np.int64))
        whole = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(content)])
        whole.cast(pa.large_string())
    except pa.ArrowInvalid:
        return content.decode("utf-8", "replace").encode("utf-8")
    return content


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _decode_page_by_record(content: bytes, shape: RecordShape) -> Page:
    try:
        page = load_json(content)
    except ValueError as error:
        raise ValueError(f"the answer is not JSON ({len(content)} bytes)") from error
    records = page.get(shape.list_key) if isinstance(page, dict) else None
    if not isinstance(records, list):
        raise ValueError(f"the answer has no list {shape.list_key!r}")
    next_page_uri = page.get("next_page_uri")
    return Page(
        decode_records(records, shape), next_page_uri if isinstance(next_page_uri, str) else None
    )


def _extra_column(
    content: bytes, unknown: Sequence[pa.Array], identifiers: pa.Array, shape: RecordShape
) -> pa.Array:
    """JSON of the unknown fields of the records that have any, from the page itself: what Arrow
    inferred of them may not be what was written."""
    if not unknown:
        return pa.nulls(len(identifiers), pa.string())
    extras: list[str | None] = [None] * len(identifiers)
    has_extra = functools.reduce(pc.or_, (pc.is_valid(values) for values in unknown))
    positions = np.flatnonzero(has_extra.to_numpy(zero_copy_only=False)).tolist()
    for position, record in _records_at(content, positions, identifiers, shape):
        extras[position] = next(iter(_extras([record], shape)))
    return pa.array(extras, pa.string())


def _records_at(
    content: bytes, positions: Sequence[int], identifiers: pa.Array, shape: RecordShape
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Some records of a page, with their positions.

    Each is looked for by its identifier in the page's text: reading all of a page for the few
    that have something unknown would take longer than all the rest of its decoding.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    for position in positions:
        record = _record_around(content, shape.kept[0], identifiers[position].as_py())
        if record is None:
            records = load_json(content)[shape.list_key]
            yield from ((place, records[place]) for place in positions)
            return
        found.append((position, record))
    yield from found


def _record_around(content: bytes, name: str, identifier: str | None) -> dict[str, Any] | None:
    """The JSON object that has this identifier under this name; None if it is not found."""
    at = content.find(f'"{identifier}"'.encode())
    start = at
    for _ in range(_OBJECTS_BEFORE):
        start = content.rfind(b"{", 0, max(start, 0))
        if start < 0:
            return None
        # Half a character at the end of so much text is behind the record's own end.
        text = content[start : at + _RECORD_BYTES].decode("utf-8", "ignore")
        try:
            record, end = _DECODER.raw_decode(text)
        except ValueError:
            continue
        if start + len(text[:end].encode()) > at and record.get(name) == identifier:
            return dict(record)
    return None


def _extras(records: Iterable[dict[str, Any]], shape: RecordShape) -> Iterable[str | None]:
    """JSON of the unknown fields of each record; a null is none, as Arrow does not tell it."""
    known = shape.known
    for record in records:
        extra = {
            name: value for name, value in record.items() if name not in known and value is not None
        }
        yield _as_json(extra) if extra else None


def _as_json(fields: dict[str, Any]) -> str:
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        # A number of more than 64 bits is none to orjson: Python's own writer keeps its digits.
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    return orjson.dumps(value).decode()
