"""One flow of ours with the seconds of each of its steps, printed as JSON."""

from __future__ import annotations

import functools
import importlib
import json
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from flows.running import prepare

STEPS = ("extract_accounts", "normalize", "load", "model", "publish", "report")


def main() -> None:
    """`python -m bench.ours daily|backfill NOW [SINCE]`."""
    name, now = sys.argv[1], datetime.fromisoformat(sys.argv[2])
    prepare()
    started = time.perf_counter()
    module = importlib.import_module(f"flows.{name}")
    steps = {"start of the program": time.perf_counter() - started}

    def timed(step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                steps[step] = steps.get(step, 0.0) + time.perf_counter() - began

        return wrapper

    reading = importlib.import_module("flows.reading").Reading
    reading.wait = timed("read", reading.wait)
    for step in STEPS:
        setattr(module, step, timed(step.replace("_", " "), getattr(module, step)))
    began = time.perf_counter()
    parameters: dict[str, Any] = {"now": now}
    if name == "backfill":
        parameters["since"] = date.fromisoformat(sys.argv[3])
    summary = getattr(module, name)(**parameters)
    steps["the rest"] = time.perf_counter() - began - sum(list(steps.values())[1:])
    print(
        json.dumps({"records": summary.record_count, "pages": summary.page_count, "steps": steps})
    )


if __name__ == "__main__":
    main()
