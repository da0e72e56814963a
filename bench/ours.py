"""One flow of ours, and what each of its steps took, printed as JSON."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from bench.steps import Steps
from flows.running import leave, prepare

STEPS = (
    "extract_accounts",
    "plan_daily",
    "plan_backfill",
    "normalize",
    "load",
    "model",
    "publish",
    "report",
    "alert",
)


def main() -> None:
    """`python -m bench.ours daily|backfill|rebuild NOW [SINCE]`; a rebuild has no other now."""
    name, now = sys.argv[1], datetime.fromisoformat(sys.argv[2])
    prepare()
    connections: list[Any] = []
    steps = Steps(lambda: sum(connection.request_count for connection in connections))
    with steps.step("start"):
        module = importlib.import_module(f"flows.{name}")
        reading = importlib.import_module("flows.reading").Reading
        run = importlib.import_module("flows.run")

    def connect(*args: Any) -> Any:
        connections.append(connection_class(*args))
        return connections[-1]

    connection_class, run.Connection = run.Connection, connect

    def timed(step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with steps.step(step):
                return call(*args, **kwargs)

        return wrapper

    # Windows are being read from the moment they are submitted.
    reading.__init__ = timed("read", reading.__init__)
    reading.wait = timed("read", reading.wait)
    for step in STEPS:
        if hasattr(module, step):
            setattr(module, step, timed(step.replace("_", " "), getattr(module, step)))
    parameters: dict[str, Any] = {} if name == "rebuild" else {"now": now}
    if name == "backfill":
        parameters["since"] = date.fromisoformat(sys.argv[3])
    summary = getattr(module, name)(**parameters)
    print(json.dumps({"records": summary.record_count, "steps": steps.told()}))
    leave(0)


if __name__ == "__main__":
    main()
