"""Columns of few distinct values: what is made of one is made once."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa


def map_distinct(
    values: pa.ChunkedArray, function: Callable[[pa.Array], pa.Array]
) -> pa.ChunkedArray:
    """What the function makes of an array of the distinct values, for every value; null of null."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = whole.dictionary_encode()
    return pa.chunked_array([function(encoded.dictionary).take(encoded.indices)])
