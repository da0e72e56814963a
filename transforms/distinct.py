"""Columns of few distinct values: what is made of one is made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa

_Values = TypeVar("_Values", pa.Array, pa.ChunkedArray)


def map_distinct(values: _Values, function: Callable[[pa.Array], pa.Array]) -> _Values:
    """What the function makes of an array of the distinct values, for every value; null of null."""
    if isinstance(values, pa.ChunkedArray):
        return pa.chunked_array([map_distinct(values.combine_chunks(), function)])
    encoded = values.dictionary_encode()
    return function(encoded.dictionary).take(encoded.indices)
