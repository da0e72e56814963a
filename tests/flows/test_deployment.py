"""prefect.yaml against a real Prefect server and worker: it runs by itself, and heals itself."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.deployed import SKIPPED
from simulator.process import Server, running
from simulator.world import WorldConfig
from tests.flows.prefect_stack import PROJECT, Stack, kill_hard, postgresql, postgresql_programs
from tests.flows.sink import Sink, a_sink

NAMES = {"daily", "deep-refresh", "month-close", "backfill", "rebuild", "report"}
SCHEDULED = {"daily", "deep-refresh", "month-close"}

on_each_database = pytest.mark.parametrize(
    "database",
    [
        pytest.param("sqlite", marks=pytest.mark.xdist_group("prefect-sqlite")),
        pytest.param("postgresql", marks=pytest.mark.xdist_group("prefect-postgresql")),
    ],
)


@contextmanager
def database_of(kind: str) -> Iterator[str | None]:
    """Prefect's own SQLite file, or a PostgreSQL; skips where that is not installed."""
    if kind == "sqlite":
        yield None
        return
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with postgresql(programs) as url:
        yield url


@pytest.mark.timeout(900)
@on_each_database
def test_it_runs_by_itself_and_heals_itself(database: str, tmp_path: Path) -> None:
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    config = WorldConfig(messages=500, days=2, accounts=2, seed=2, until=until)
    with running(config) as account, database_of(database) as database_url, a_sink() as sink:
        settings = {
            # The token is in no environment and no file: a Secret block has it.
            "TWILIO_ACCOUNT_SID": account.account_sid,
            "TWILIO_API_BASE_URL": account.url,
            "WAREHOUSE_DATA_ROOT": str(tmp_path / "data"),
            "WAREHOUSE_INITIAL_DAYS": "2",
            "WAREHOUSE_ALERT_BLOCKS": "custom-webhook/operations",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        }
        stack = Stack(tmp_path, database_url, settings)
        with stack.server():
            stack.set_up_as_documented()
            save_secret(stack, "twilio-auth-token", account.auth_token)
            block_id = save_webhook(stack, "operations", sink.webhook)
            for name in ("automations", "missed-run"):
                path = impatient(tmp_path, name, block_id)
                stack.prefect("automation", "create", "--from-file", str(path))
            deployments = {d["name"]: d for d in stack.ask("/deployments/filter", {})}
            check_deployments(stack, deployments)

            killed = kill_a_run(stack, deployments["daily"], account)
            check_a_dead_run_is_healed_and_late_ones_are_skipped(stack, deployments, killed)
            check_what_was_told(stack, sink)
        check_what_was_left(stack, account)


def check_deployments(stack: Stack, deployments: dict[str, Any]) -> None:
    """All are there, in one queue of one run at a time, with descriptions and schemas."""
    assert set(deployments) == NAMES
    assert all(d["description"] and d["tags"] for d in deployments.values())
    queues = {d["work_queue_id"] for d in deployments.values()}
    (queue,) = [stack.ask(f"/work_queues/{queue}") for queue in queues]
    assert (queue["name"], queue["concurrency_limit"]) == ("writing", 1)

    schema = deployments["backfill"]["parameter_openapi_schema"]
    assert schema["required"] == ["since"]
    assert schema["properties"]["since"]["format"] == "date"
    assert "first UTC day" in schema["properties"]["since"]["description"]
    with pytest.raises(OSError, match="409"):
        stack.create_run(deployments["backfill"], until="2026-01-01")

    # An unlucky version of a dependency breaks the scheduler alone, without a word.
    for name in SCHEDULED:
        stack.wait(
            f"runs of {name}'s schedule", 120, lambda n=name: stack.scheduled(deployments[n])
        )
    for name in NAMES - SCHEDULED:
        assert not stack.scheduled(deployments[name]), name


def kill_a_run(stack: Stack, daily: dict[str, Any], account: Server) -> str:
    """A daily run whose worker and process vanish while it reads; its id."""
    account.set_faults([{"kind": "hang", "path": "Messages"}])
    with stack.worker() as worker:
        run_id = stack.create_run(daily)
        stack.wait("a run that reads", 90, lambda: account.requests().get("fault_hang"))
        kill_hard(worker)
    account.set_faults()
    assert stack.run(run_id)["state"]["type"] == "RUNNING"
    return run_id


def check_a_dead_run_is_healed_and_late_ones_are_skipped(
    stack: Stack, deployments: dict[str, Any], killed: str
) -> None:
    first, second = stack.scheduled(deployments["daily"])[:2]
    for minutes, run in ((20, first), (10, second)):
        make_due(stack, run, datetime.now(UTC) - timedelta(minutes=minutes))
    failing = stack.create_run(deployments["month-close"], month="2020-01-01")
    by_hand = stack.create_run(deployments["report"], language="es", formats=["csv", "parquet"])
    with stack.worker():
        stack.wait("a worker that looks for runs", 60, lambda: "started" in stack.log.read_text())
        # Nobody starts beside a run that may still be writing, dead or not.
        if stack.run(killed)["state"]["type"] == "RUNNING":
            assert stack.run(first["id"])["state"]["type"] == "SCHEDULED"
        crashed = stack.wait_for_end(killed, 120)
        assert crashed["state"]["type"] == "CRASHED"

        healed = stack.wait_for_end(first["id"], 120)
        assert healed["state"]["type"] == "COMPLETED", stack.log.read_text()[-4000:]
        skipped = stack.run(second["id"])["state"]
        assert (skipped["type"], skipped["name"]) == ("CANCELLED", SKIPPED)

        failed = stack.wait_for_end(failing, 120)
        assert failed["state"]["type"] == "FAILED"
        last = stack.wait_for_end(by_hand, 120)
        assert last["state"]["type"] == "COMPLETED", stack.log.read_text()[-4000:]
    # In turn: one began when the other had ended.
    assert crashed["end_time"] <= healed["start_time"]
    assert healed["end_time"] <= failed["start_time"]
    assert failed["end_time"] <= last["start_time"]
    check_what_prefect_shows(stack, healed)
    assert re.fullmatch(r"report \d{4}-\d\d-\d\d \d\d:\d\d language=es formats=.*", last["name"])


def check_what_prefect_shows(stack: Stack, run: dict[str, Any]) -> None:
    """Names, log and artifacts of a daily run."""
    assert re.fullmatch(r"daily \d{4}-\d\d-\d\d \d\d:\d\d", run["name"])
    of_run = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    names = [task["name"] for task in stack.ask("/task_runs/filter", of_run)]
    assert any(re.match(r"extract messages \S+ AC", name) for name in names), names
    assert {"load", "model", "publish", "report"} <= {name.split("-")[0] for name in names}

    by_key = {a["key"]: a for a in stack.ask("/artifacts/filter", of_run)}
    assert {"run-summary", "kpis", "reports"} <= set(by_key)
    assert "messages_sent" in {row["kpi"] for row in json.loads(by_key["kpis"]["data"])}
    assert "records" in by_key["run-summary"]["data"]
    assert "daily_volume.csv" in by_key["reports"]["data"]

    logged = {"logs": {"flow_run_id": {"any_": [run["id"]]}}}

    def lines() -> list[str]:
        return [log["message"] for log in stack.ask("/logs/filter", logged)]

    stack.wait("a log of windows", 30, lambda: any("page(s)" in line for line in lines()))
    stack.wait("a log of the sum", 30, lambda: any("records in" in line for line in lines()))
    stack.wait("a log of skipped runs", 30, lambda: any("skipped" in line for line in lines()))


def check_what_was_told(stack: Stack, sink: Sink) -> None:
    """The failed run is told once; a daily run that does not come is told by Prefect's server."""
    stack.wait("a word that daily is missing", 60, lambda: missing(sink))
    (told,) = [one for one in sink.received if "month-close" in one["message"]]
    assert told["title"] == "twilio-warehouse: A run failed"
    assert re.match(
        r"The flow month-close failed \(.*cannot be read any more.*\); in a row: 1\.",
        told["message"],
    )


def missing(sink: Sink) -> list[dict[str, Any]]:
    """What Prefect's automation has said of a missing run."""
    return [one for one in sink.received if one["title"] == "twilio-warehouse: a run is missing"]


def check_what_was_left(stack: Stack, account: Server) -> None:
    """Reports are there, in the language asked for last; nothing is for others to read."""
    data = stack.folder / "data"
    assert (data / "reports" / "daily_volume.csv").stat().st_size > 100
    assert account.auth_token not in stack.log.read_text()
    metrics = (data / "metrics.prom").read_text()
    assert 'twilio_warehouse_last_success_timestamp_seconds{flow="daily"}' in metrics
    assert 'twilio_warehouse_failures_total{flow="month-close"} 1' in metrics
    (failure,) = (data / "lake" / "runs" / "failed").glob("*.json")
    assert "cannot be read any more" in json.loads(failure.read_text())["error"]
    assert open_to_others(data) == ["metrics.prom"]


def open_to_others(folder: Path) -> list[str]:
    """The files others than their owner may read or write."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077
    )


def impatient(folder: Path, name: str, block_id: str) -> Path:
    """Automations of deploy/, waiting for seconds instead of minutes and hours."""
    text = (PROJECT / "deploy" / f"{name}.yaml").read_text()
    told = yaml.safe_load(text.replace("BLOCK_ID", block_id))
    for automation in told["automations"]:
        automation["trigger"]["within"] = 40 if name == "automations" else 10
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(told))
    return path


def save_webhook(stack: Stack, name: str, url: str) -> str:
    """Save a notification block that posts to an address; its id."""
    code = (
        "from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block\n"
        "told = {'title': '{{subject}}', 'message': '{{body}}'}\n"
        f"block = Block(name={name!r}, url={url!r}, json_data=told)\n"
        f"print(block.save({name!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=stack.env, text=True, check=True, timeout=60,
        capture_output=True,
    )  # fmt: skip
    return done.stdout.split()[-1]


def save_secret(stack: Stack, name: str, value: str) -> None:
    """Save a Secret block as operations.md says."""
    code = f"from prefect.blocks.system import Secret; Secret(value=input()).save({name!r})"
    subprocess.run(
        [sys.executable, "-c", code], env=stack.env, input=value, text=True, check=True, timeout=60,
        capture_output=True,
    )  # fmt: skip


def make_due(stack: Stack, run: dict[str, Any], instant: datetime) -> None:
    """Let a scheduled run have been due at an instant, and nobody there to execute it."""
    state = {
        "type": "SCHEDULED",
        "name": "Late",
        "state_details": {"scheduled_time": instant.isoformat()},
    }
    stack.ask(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})


def deployments_of_prefect_yaml() -> list[dict[str, Any]]:
    """What prefect.yaml deploys."""
    found: list[dict[str, Any]] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())[
        "deployments"
    ]
    return found


@pytest.mark.parametrize("deployment", deployments_of_prefect_yaml(), ids=lambda d: d["name"])
def test_every_deployed_flow_is_where_prefect_yaml_says(deployment: dict[str, Any]) -> None:
    file, function = deployment["entrypoint"].split(":")
    text = (PROJECT / file).read_text()
    assert f'@flow(name="{deployment["name"]}")\ndef {function}(' in text
