"""Work for the processor, done by as many threads as there are cores.

Many threads wait for Twilio; if each of them also decoded and normalized, each would keep memory
of its own for it and they would only disturb one another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

CORES = os.cpu_count() or 1
# Arrow gives Python's lock away and wants it back hundreds of times a page; to wait 5 ms for it
# each time, as Python has it, costs a tenth of reading.
sys.setswitchinterval(0.0005)
_pool = ThreadPoolExecutor(CORES, thread_name_prefix="core")
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def on_a_core(
    call: Callable[_Given, _Result], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Result:
    """The call's result, once a core had time for it. Never call it from within such a call."""
    return _pool.submit(call, *args, **kwargs).result()
