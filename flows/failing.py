"""How a run ended, for people who were not looking: a failure is told once, and again when it goes
on for long."""

from __future__ import annotations

from datetime import UTC, datetime

from flows.alerting import RUN_FAILED, Alert, changing_state, kinds, read_state
from flows.errors import ExtractionFailedError, WarehouseError
from flows.notifying import deliver, find_targets, names_of, without_numbers
from flows.settings import Settings, read_settings

_LONGEST = 300  # characters of an error's first line


def tell_failure(flow: str, error: BaseException, now: datetime | None = None) -> list[str]:
    """Tell that a run of a flow failed; of failures in a row the first, second, fourth …

    Returns what could not be told, in sentences: it must not hide why the run failed.
    """
    try:
        return _tell(read_settings(), flow, error, now or datetime.now(UTC))
    except Exception as problem:  # noqa: BLE001 - whatever it is, the failure matters more
        return [f"The failure could not be told: {_in_a_line(problem)}."]


def tell_success(flow: str, now: datetime | None = None) -> list[str]:
    """Note that a flow ran well: its next failure is told again.

    Returns what went wrong with that, in sentences.
    """
    try:
        settings = read_settings()
        if flow in read_state(settings).failures:
            with changing_state(settings) as state:
                state.succeeded(flow, now or datetime.now(UTC), names_of(find_targets(settings)))
    except Exception as problem:  # noqa: BLE001 - the run itself was good
        return [f"The end of a failure could not be noted: {_in_a_line(problem)}."]
    return []


def _tell(settings: Settings, flow: str, error: BaseException, now: datetime) -> list[str]:
    targets = find_targets(settings)
    with changing_state(settings) as state:
        # Alert `account_denied` has said already why a run cannot read everything.
        is_known = isinstance(error, ExtractionFailedError) and any(
            told.kind == "account_denied" for told in state.told
        )
        if not is_known:
            count = state.count_failure(flow)
            state.failed(_alert(settings, flow, error, count), now, names_of(targets))
        return deliver(state, settings, targets, now)


def _alert(settings: Settings, flow: str, error: BaseException, count: int) -> Alert:
    message = kinds()[RUN_FAILED].texts[f"message_{settings.language}"]
    for name, value in {
        "subject": flow, "observed": count, "detail": _in_a_line(error),
    }.items():  # fmt: skip
        message = message.replace(f"{{{name}}}", str(value))
    return Alert(RUN_FAILED, "all", flow, count, message)


def _in_a_line(error: BaseException) -> str:
    """What happened. Only our own errors are known to name no secret, number or text."""
    if not isinstance(error, WarehouseError):
        return type(error).__name__
    lines = str(error).splitlines() or [""]
    return without_numbers(lines[0])[:_LONGEST].rstrip(". ") or type(error).__name__
