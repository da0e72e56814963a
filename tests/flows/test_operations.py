"""What an operator relies on: records of runs and failures, metrics, privacy, secrets, logs."""

from __future__ import annotations

import json
import logging
import re
import stat
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.errors import TwilioError, WarehouseError, WrongUseError
from flows.metrics import write_metrics
from flows.report_again import report_again
from flows.settings import read_settings
from tests.flows.conftest import NOW, Warehouse

PROJECT = Path(__file__).resolve().parents[2]
SID = "AC" + "0" * 31 + "1"


def records_of_runs(warehouse: Warehouse) -> list[dict[str, object]]:
    return [
        json.loads(path.read_text()) for path in (warehouse.root / "lake" / "runs").glob("*.json")
    ]


def last_daily_run(warehouse: Warehouse) -> dict[str, Any]:
    records = [r for r in records_of_runs(warehouse) if r["flow"] == "daily"]
    return max(records, key=lambda record: str(record["ended_at"]))


def samples(warehouse: Warehouse) -> dict[str, float]:
    """The metrics by name and labels; the file is nothing but samples, HELP and TYPE."""
    found = {}
    for line in (warehouse.root / "metrics.prom").read_text().splitlines():
        if not line.startswith(("# HELP ", "# TYPE ")):
            match = re.fullmatch(r'(\w+(?:\{(?:\w+="[^"]*",?)+\})?) (-?[0-9.e+]+)', line)
            assert match, line
            found[match[1]] = float(match[2])
    return found


def test_a_run_leaves_a_record_of_itself_in_the_lake(warehouse: Warehouse) -> None:
    record = last_daily_run(warehouse)
    assert record["now"] == NOW.isoformat()
    assert record["failed"] == []
    assert record["seconds"] > 0
    assert record["page_count"] >= record["window_count"] - record["outcomes"].get("empty", 0)
    assert record["started_at"] <= record["ended_at"]


def test_metrics_say_what_the_last_run_read_and_how_fresh_accounts_are(
    warehouse: Warehouse,
) -> None:
    record = last_daily_run(warehouse)
    found = samples(warehouse)
    assert found['twilio_warehouse_run_records{flow="daily"}'] == record["record_count"]
    assert found['twilio_warehouse_run_requests{flow="daily"}'] == record["page_count"]
    assert found['twilio_warehouse_last_success_timestamp_seconds{flow="daily"}'] > 1.7e9
    assert found['twilio_warehouse_rows{table="messages"}'] > 10_000
    sid = warehouse.server.account_sid
    fresh = f'twilio_warehouse_read_timestamp_seconds{{account_sid="{sid}",dataset="messages"}}'
    assert found[fresh] == NOW.timestamp()


def test_what_a_run_writes_is_for_its_owner_alone(warehouse: Warehouse) -> None:
    shown = []
    for path in warehouse.root.rglob("*"):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            shown.append(str(path.relative_to(warehouse.root)))
    # Who scrapes is another user; there is nothing private in it.
    assert shown == ["metrics.prom"]
    assert (warehouse.root / "lake" / "messages").is_dir()


@pytest.fixture
def empty(tmp_path: Path, warehouse: Warehouse) -> Warehouse:
    """A warehouse of the same account, before its first run."""
    return Warehouse(tmp_path / "data", warehouse.server)


def test_a_failure_is_on_record_and_in_the_metrics(empty: Warehouse) -> None:
    with pytest.raises(TwilioError):
        empty.run("daily", now=NOW, settings={"TWILIO_AUTH_TOKEN": "0" * 32})
    (path,) = (empty.root / "lake" / "runs" / "failed").glob("*.json")
    record = json.loads(path.read_text())
    assert (record["flow"], record["kind"]) == ("daily", "TwilioError")
    assert "401" in record["error"] or "credentials" in record["error"]
    assert "0" * 32 not in path.read_text()
    found = samples(empty)
    assert found['twilio_warehouse_failures_total{flow="daily"}'] == 1
    assert not [name for name in found if "last_success" in name]


def test_an_error_nobody_foresaw_keeps_its_text_to_itself(
    empty: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError("+34600123456 wrote: my PIN is 1234")

    monkeypatch.setattr("flows.daily.plan_daily", breaks)
    with pytest.raises(KeyError):
        empty.run("daily", now=NOW)
    (path,) = (empty.root / "lake" / "runs" / "failed").glob("*.json")
    record = json.loads(path.read_text())
    assert record["error"].startswith("KeyError in test_operations.py, line ")
    assert "PIN" not in path.read_text()


def test_metrics_can_be_written_again_at_any_time(warehouse: Warehouse) -> None:
    before = samples(warehouse)
    (warehouse.root / "metrics.prom").unlink()
    with warehouse.active():
        write_metrics(read_settings())
    assert samples(warehouse) == before


def test_the_log_tells_windows_pages_and_records(
    empty: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="flows"):
        empty.run("daily", now=NOW, settings={"WAREHOUSE_INITIAL_DAYS": "0"})
    told = [record.getMessage() for record in caplog.records]
    sid = re.escape(empty.server.account_sid)
    assert any(re.match(rf"messages .+ {sid}: ok, \d+ page\(s\), \d+ record", t) for t in told)
    assert any(re.match(r"daily-.+ records in .+ pages of .+ windows", t) for t in told)


def test_the_report_flow_writes_in_the_language_asked_for(warehouse: Warehouse) -> None:
    kept = warehouse.reports()
    with warehouse.active():
        report_again(language="es", formats=["csv"])
        spanish = warehouse.reports()
        report_again(language="en", formats=["csv"])
    assert spanish["errors_by_code.csv"] != kept["errors_by_code.csv"]
    assert warehouse.reports() == kept


def test_a_backup_that_holds_the_lock_makes_a_run_wait(empty: Warehouse) -> None:
    empty.root.mkdir()
    backup = ["flock", str(empty.root / "write.lock"), "sh", "-c", "echo begun; cat"]
    with subprocess.Popen(backup, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as copying:
        assert copying.stdout is not None
        assert copying.stdout.readline() == b"begun\n"
        with pytest.raises(WarehouseError, match="WAREHOUSE_LOCK_WAIT"):
            empty.run("daily", now=NOW, settings={"WAREHOUSE_LOCK_WAIT": "1s"})


class Blocks(BaseHTTPRequestHandler):
    """Where Prefect would be: counts how often it is asked, and has nothing."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def no_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server in place of Prefect's that has no block; what it was asked for."""
    Blocks.asked = []
    with HTTPServer(("127.0.0.1", 0), Blocks) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        yield Blocks.asked
        server.shutdown()


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"TWILIO_AUTH_TOKEN": "t"}, []),
        ({"TWILIO_API_KEY": "SK1", "TWILIO_API_SECRET": "s"}, []),
        ({}, ["twilio-auth-token"]),
        ({"TWILIO_API_KEY": "SK1"}, ["twilio-api-secret"]),
        (
            {"TWILIO_AUTH_TOKEN": "t", "WAREHOUSE_PHONE_NUMBERS": "masked"},
            ["warehouse-phone-key"],
        ),
        ({"TWILIO_ACCOUNT_SID": ""}, []),
    ],
)
def test_only_secrets_that_are_missing_are_looked_for_in_blocks(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], asked: list[str]
) -> None:
    looked_for = []

    def read(name: str) -> str:
        looked_for.append(name)
        return "from the block"

    monkeypatch.setattr("flows.settings.read_secret", read)
    for name, value in {"TWILIO_ACCOUNT_SID": SID, **settings}.items():
        monkeypatch.setenv(name, value)
    found = read_settings()
    assert looked_for == asked
    secrets = (found.auth_token, found.api_secret, found.phone_key)
    assert sum(s.get_secret_value() == "from the block" for s in secrets) == len(asked)
    if asked and asked[0].startswith("twilio"):
        found.require_credentials()


def test_a_server_without_the_block_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, no_blocks: list[str]
) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", SID)
    with pytest.raises(WrongUseError, match="TWILIO_AUTH_TOKEN"):
        read_settings().require_credentials()
    assert any("twilio-auth-token" in path for path in no_blocks)


def test_automations_are_about_runs_of_this_project_only() -> None:
    told = yaml.safe_load((PROJECT / "deploy" / "automations.yaml").read_text())["automations"]
    deployed = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    tags = [set(d["tags"]) for d in deployed]
    for automation in told:
        related = automation["trigger"]["match_related"]["prefect.resource.id"]
        assert all(related.removeprefix("prefect.tag.") in tag for tag in tags)
