"""What a flow's run has besides when Prefect runs it: a name people can read, and a rule for the
runs of its schedule that came too late.

Prefect keeps every run of a schedule that nobody executed: a week without a worker is seven late
runs, one after the other. Each would read as of the present, so one of them is enough: what the
others would have read, the plan of that one contains. Prefect 3.8 has no setting for it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

SKIPPED = "Skipped"
_CLOCK = "now"


def name_of_run() -> str:
    """A run's name: its flow, the minute it was due, and what it was asked for."""
    from prefect.runtime import flow_run

    due = flow_run.get_scheduled_start_time() or datetime.now(UTC)
    asked = [
        f"{name}={value}"
        for name, value in (flow_run.get_parameters() or {}).items()
        if value is not None and name != _CLOCK
    ]
    return " ".join([f"{flow_run.get_flow_name()} {due:%Y-%m-%d %H:%M}", *asked])


def drop_other_late_runs(flow: Any, flow_run: Any, state: Any) -> None:
    """End every other run of this deployment's schedule that is due by now, as Cancelled (Skipped).

    A hook for flows that begin to run. Runs that somebody asked for by hand are left alone.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.logging.loggers import flow_run_logger
    from prefect.states import Cancelled

    if flow_run.deployment_id is None:
        return
    with get_client(sync_client=True) as client:
        due = client.read_flow_runs(
            deployment_filter=filters.DeploymentFilter(
                id=filters.DeploymentFilterId(any_=[flow_run.deployment_id])
            ),
            flow_run_filter=filters.FlowRunFilter(
                state=filters.FlowRunFilterState(
                    type=filters.FlowRunFilterStateType(any_=[StateType.SCHEDULED])
                ),
                next_scheduled_start_time=filters.FlowRunFilterNextScheduledStartTime(
                    before_=datetime.now(UTC)
                ),
            ),
        )
        late = [run for run in due if run.auto_scheduled and run.id != flow_run.id]
        for run in late:
            message = f"{flow_run.name} reads as of now what this run would have read."
            client.set_flow_run_state(
                run.id, Cancelled(name=SKIPPED, message=message), force=True
            )  # fmt: skip
    if late:
        flow_run_logger(flow_run, flow).info("%d late run(s) of this schedule skipped.", len(late))
