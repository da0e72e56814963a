"""What has been freed: kept for what comes next, or given back to the system.

A fresh page of memory costs the system 3 to 8 microseconds (docs/benchmark.md). So what one page of
messages has needed serves the next, and is given back once all are read: the models would miss it.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

import pyarrow as pa

# What glibc's malloc is told, by the variable that would tell it: number in malloc.h, and value.
_WISHES = {
    "MALLOC_MMAP_THRESHOLD_": (-3, 32 << 20),  # up to which it goes by itself
    "MALLOC_TRIM_THRESHOLD_": (-1, (1 << 31) - 1),  # more than there is
}


def keep_what_is_freed() -> None:
    """Have the C library keep it, where its variable in the environment says nothing else."""
    for variable, wish in _WISHES.items():
        if variable not in os.environ:
            _tell("mallopt", *wish)


def give_back() -> None:
    """Return what the C library and Arrow keep."""
    pa.default_memory_pool().release_unused()
    _tell("malloc_trim", 0)


def _tell(function: str, *numbers: int) -> None:
    with suppress(AttributeError, OSError, TypeError):  # a system with another C library
        getattr(ctypes.CDLL(None), function)(*numbers)
