"""What a run came to, for its operator."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from flows.errors import ExtractionFailedError
from flows.run import Extraction, Run
from flows.tasks.report import Report


@dataclass(frozen=True)
class Summary:
    """What one run read and wrote."""

    run_id: str
    window_count: int
    page_count: int
    record_count: int
    reject_count: int
    outcomes: dict[str, int]
    notices: tuple[str, ...]
    reports: tuple[Report, ...]


def finish(run: Run, reports: list[Report]) -> Summary:
    """The run's summary.

    Raises:
        ExtractionFailedError: a window could not be read; the message names account and window.
    """
    extractions = run.extractions
    summary = Summary(
        run_id=run.run_id,
        window_count=len(extractions),
        page_count=sum(extraction.page_count for extraction in extractions),
        record_count=sum(extraction.record_count for extraction in extractions),
        reject_count=run.reject_count,
        outcomes=dict(Counter(extraction.outcome for extraction in extractions)),
        notices=tuple(run.notices),
        reports=tuple(reports),
    )
    failed = [extraction for extraction in extractions if _is_failure(run, extraction)]
    if failed:
        raise ExtractionFailedError(_describe(failed))
    return summary


def _is_failure(run: Run, extraction: Extraction) -> bool:
    if extraction.outcome in ("ok", "empty", "retention"):
        return False
    if extraction.window.dataset == "accounts" and run.connection.uses_api_key:
        return False
    if extraction.window.dataset == "usage_records" and extraction.outcome == "not_found":
        return False
    # Twilio refuses the data of suspended and closed accounts
    # (twilio.com/docs/iam/api/subaccounts).
    return extraction.outcome == "failed" or run.is_active(extraction.window.account_sid)


def _describe(failed: list[Extraction]) -> str:
    shown = [
        f"{extraction.window.dataset} {extraction.window.label} of "
        f"{extraction.window.account_sid}: {extraction.detail}"
        for extraction in failed[:5]
    ]
    more = f"\n… and {len(failed) - 5} more" if len(failed) > 5 else ""
    return (
        f"{len(failed)} window(s) could not be read; what was read is kept and published, the "
        "next run tries again.\n" + "\n".join(shown) + more
    )
