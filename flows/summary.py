"""What a run came to, for its operator."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from flows.errors import ExtractionFailedError
from flows.observing import observe
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
    run.notices += _refused(run)
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
    ended_at = datetime.now(UTC)
    record = {
        **dataclasses.asdict(summary),
        "flow": run.flow,
        "now": run.now.isoformat(),
        "started_at": run.started_at.isoformat(timespec="seconds"),
        "ended_at": ended_at.isoformat(timespec="seconds"),
        "seconds": round((ended_at - run.started_at).total_seconds(), 1),
        "failed": [_in_words(extraction) for extraction in failed],
    }
    run.keep_summary(record)
    observe(run.settings, record, reports)
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


def _refused(run: Run) -> list[str]:
    """What Twilio does not give, which is no failure but must be known."""
    notices = []
    past = [one.window for one in run.extractions if one.outcome == "retention"]
    for account_sid in sorted({window.account_sid for window in past}):
        windows = [window for window in past if window.account_sid == account_sid]
        notices.append(
            f"Twilio no longer keeps messages of {account_sid} from "
            f"{min(w.start for w in windows):%Y-%m-%d} to {max(w.end for w in windows):%Y-%m-%d}: "
            "the account keeps fewer than 400 days."
        )
    refused = {
        one.window.account_sid
        for one in run.extractions
        if one.outcome == "denied" and not run.is_active(one.window.account_sid)
    }
    notices += [
        f"Account {account_sid} is suspended or closed; Twilio refused its data. It is asked "
        "again by the next run."
        for account_sid in sorted(refused)
    ]
    return notices


def _in_words(extraction: Extraction) -> str:
    window = extraction.window
    return f"{window.dataset} {window.label} of {window.account_sid}: {extraction.detail}"


def _describe(failed: list[Extraction]) -> str:
    shown = [_in_words(extraction) for extraction in failed[:5]]
    more = f"\n… and {len(failed) - 5} more" if len(failed) > 5 else ""
    return (
        f"{len(failed)} window(s) could not be read; what was read is kept and published, the "
        "next run tries again.\n" + "\n".join(shown) + more
    )
