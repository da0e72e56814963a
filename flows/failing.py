"""Tell people that a run failed: once, and again when it goes on for long.

For a Prefect flow: `@flow(…, on_failure=[on_failure], on_crashed=[on_failure],
on_completion=[on_completion])`. For a run without Prefect: `with telling_failure("daily"): …`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flows.alerting import RUN_FAILED, Alert, changing_state, kinds
from flows.errors import ExtractionFailedError, WarehouseError
from flows.notifying import deliver, find_targets, names_of, without_numbers
from flows.settings import Settings, read_settings

_LOG = logging.getLogger(__name__)
_LONGEST = 300  # characters of an error's first line


def on_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Prefect's hook for flows that fail or crash."""
    error = state.result(raise_on_failure=False)
    if not isinstance(error, BaseException):
        # A crash: what it says of itself may be anything, its name is not.
        error = WarehouseError(str(state.name))
    tell_failure(flow.name, error)


def on_completion(flow: Any, flow_run: Any, state: Any) -> None:
    """Prefect's hook for flows that end well."""
    tell_success(flow.name)


@contextmanager
def telling_failure(flow_name: str) -> Iterator[None]:
    """Tell how a run ends that Prefect does not watch."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        # Who ends it by hand knows.
        if not isinstance(error, KeyboardInterrupt):
            tell_failure(flow_name, error)
        raise
    tell_success(flow_name)


def tell_failure(flow_name: str, error: BaseException, now: datetime | None = None) -> None:
    """Tell that a run of a flow failed; of failures in a row the first, second, fourth …

    Whatever goes wrong here is logged: it must not hide why the run failed.
    """
    try:
        _tell(read_settings(), flow_name, error, now or datetime.now(UTC))
    except Exception as problem:  # noqa: BLE001
        _LOG.warning("The failure could not be told: %s", without_numbers(str(problem)))


def tell_success(flow_name: str, now: datetime | None = None) -> None:
    """Note that a flow ran well: its next failure is told again."""
    try:
        settings = read_settings()
        with changing_state(settings) as state:
            state.succeeded(flow_name, now or datetime.now(UTC), names_of(find_targets(settings)))
    except Exception as problem:  # noqa: BLE001
        _LOG.warning("The end of a failure could not be noted: %s", problem)


def _tell(settings: Settings, flow_name: str, error: BaseException, now: datetime) -> None:
    targets = find_targets(settings)
    with changing_state(settings) as state:
        # Alert `account_denied` has said already why a run cannot read everything.
        is_known = isinstance(error, ExtractionFailedError) and any(
            told.kind == "account_denied" for told in state.told
        )
        if not is_known:
            count = state.count_failure(flow_name)
            state.failed(_alert(settings, flow_name, error, count), now, names_of(targets))
        for problem in deliver(state, settings, targets, now):
            _LOG.warning("%s", problem)


def _alert(settings: Settings, flow_name: str, error: BaseException, count: int) -> Alert:
    message = kinds()[RUN_FAILED].texts[f"message_{settings.language}"]
    for name, value in {
        "subject": flow_name, "observed": count, "detail": _in_a_line(error),
    }.items():  # fmt: skip
        message = message.replace(f"{{{name}}}", str(value))
    return Alert(RUN_FAILED, "all", flow_name, count, message)


def _in_a_line(error: BaseException) -> str:
    """What happened. Only our own errors are known to name no secret, number or text."""
    if not isinstance(error, WarehouseError):
        return type(error).__name__
    lines = str(error).splitlines() or [""]
    return without_numbers(lines[0])[:_LONGEST].rstrip(". ") or type(error).__name__
