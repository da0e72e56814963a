"""The command: one clear sentence for each mistake, exit code 1 or 2, nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from simulator.process import Server
from tests.flows.conftest import NOW, Warehouse

COMMAND = Path(sys.executable).with_name("twilio-warehouse")
SID = "AC" + "0" * 32


def call(
    *arguments: str, cwd: Path, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], cwd=cwd, env={**others(), **environment}, text=True,
        capture_output=True, timeout=timeout,
    )  # fmt: skip


def others() -> dict[str, str]:
    """What the environment has beside settings of ours."""
    ours = ("TWILIO_", "WAREHOUSE_", "PREFECT_")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)}


CREDENTIALS = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": "secret-token"}


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (["run"], {}, 2, "TWILIO_ACCOUNT_SID is not set"),
        (["run"], {"TWILIO_ACCOUNT_SID": SID}, 2, "No Twilio credentials"),
        (["run", "--now", "today"], CREDENTIALS, 2, "no ISO 8601 time"),
        (["backfill", "--since", "yesterday"], CREDENTIALS, 2, "--since 'yesterday' is no date"),
        (
            ["backfill", "--since", "2026-02-01", "--until", "2026-01-01"], CREDENTIALS, 2,
            "--since 2026-02-01 is not before --until 2026-01-01",
        ),
        (
            ["backfill", "--since", "2020-01-01", "--until", "2020-02-01"], CREDENTIALS, 2,
            "Twilio keeps 400 days",
        ),
        (["backfill"], CREDENTIALS, 2, "--since"),
        (["refresh"], CREDENTIALS, 2, "either --deep or --month"),
        (["refresh", "--deep", "--month", "2026-10"], CREDENTIALS, 2, "either --deep or --month"),
        (["refresh", "--month", "October"], CREDENTIALS, 2, "--month"),
        (["refresh", "--month", "2999-01"], CREDENTIALS, 2, "2999-01 has not begun yet"),
        (["refresh", "--month", "2020-01"], CREDENTIALS, 2, "2020-01 cannot be read any more"),
        (["message", "SM1"], {}, 1, "There is no warehouse"),
        (["run"], {**CREDENTIALS, "WAREHOUSE_REFRESH_DAYS": "1,3"}, 2, "WAREHOUSE_REFRESH_DAYS"),
        (["run"], {**CREDENTIALS, "WAREHOUSE_REFRESH_DAYS": "7,3"}, 2, "ascending"),
        (["status"], {"WAREHOUSE_TIMEZONE": "Mars"}, 2, "WAREHOUSE_TIMEZONE: 'Mars' is no IANA"),
        (["query", "select 1"], {}, 1, "There is no warehouse"),
        (["report"], {}, 1, "There is no warehouse"),
        (["status"], {}, 1, "There is no warehouse"),
        (["rebuild"], {}, 1, "There is no lake"),
        (["frobnicate"], {}, 2, "No such command"),
    ],
)  # fmt: skip
def test_mistakes_get_a_sentence_and_an_exit_code(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], code: int, said: str
) -> None:
    result = call(*arguments, cwd=tmp_path, **environment)
    assert result.returncode == code
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert "secret-token" not in result.stdout + result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["run", "backfill", "refresh", "rebuild", "report", "check",
                                  "status", "query", "message", "demo"])  # fmt: skip
def test_every_verb_has_help_with_an_example(tmp_path: Path, verb: str) -> None:
    result = call(verb, "--help", cwd=tmp_path)
    assert result.returncode == 0
    assert f"twilio-warehouse {verb}" in result.stdout


def test_check_names_what_is_wrong(tmp_path: Path, account: Server) -> None:
    good = {
        "TWILIO_ACCOUNT_SID": account.account_sid,
        "TWILIO_AUTH_TOKEN": account.auth_token,
        "TWILIO_API_BASE_URL": account.url,
    }
    result = call("check", "--json", cwd=tmp_path, **good)
    outcome = json.loads(result.stdout)
    assert (result.returncode, outcome["is_good"], len(outcome["last_messages"])) == (0, True, 5)
    assert "body" not in outcome["last_messages"][0]
    assert not [m for m in outcome["last_messages"] if m["to"].lstrip("+").isdigit()]

    wrong = call("check", cwd=tmp_path, **{**good, "TWILIO_AUTH_TOKEN": "wrong-secret"})
    assert wrong.returncode == 1
    assert "20003" in wrong.stdout
    assert "wrong-secret" not in wrong.stdout + wrong.stderr

    unknown = call("check", cwd=tmp_path, **{**good, "TWILIO_ACCOUNT_SID": SID})
    assert unknown.returncode == 1
    assert "check TWILIO_ACCOUNT_SID" in unknown.stdout

    nobody = call("check", cwd=tmp_path, **{**good, "TWILIO_API_BASE_URL": "http://127.0.0.1:9"})
    assert nobody.returncode == 1
    assert "gave no answer" in nobody.stdout

    key = {"TWILIO_AUTH_TOKEN": "", "TWILIO_API_KEY": account.api_key}
    keyed = call("check", cwd=tmp_path, **{**good, **key, "TWILIO_API_SECRET": account.api_secret})
    assert keyed.returncode == 0
    half = call("check", cwd=tmp_path, **{**good, **key})
    assert half.returncode == 2
    assert "TWILIO_API_SECRET" in half.stderr


def test_a_run_with_wrong_credentials_writes_no_row(tmp_path: Path, account: Server) -> None:
    result = call(
        "run",
        cwd=tmp_path,
        TWILIO_ACCOUNT_SID=account.account_sid,
        TWILIO_AUTH_TOKEN="wrong-secret",
        TWILIO_API_BASE_URL=account.url,
        PREFECT_HOME=str(tmp_path),
    )
    assert result.returncode == 1
    assert result.stderr.startswith("twilio-warehouse: Twilio answered 401")
    assert "Traceback" not in result.stderr
    assert "wrong-secret" not in result.stdout + result.stderr
    assert list((tmp_path / "data").glob("**/*.parquet")) == []


def test_run_by_hand_needs_no_server_and_prints_json(tmp_path: Path, account: Server) -> None:
    result = call(
        "run", "--now", NOW.isoformat(), "--json",
        cwd=tmp_path,
        TWILIO_ACCOUNT_SID=account.account_sid,
        TWILIO_AUTH_TOKEN=account.auth_token,
        TWILIO_API_BASE_URL=account.url,
        WAREHOUSE_INITIAL_DAYS="1",
        PREFECT_HOME=str(tmp_path),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert {report["name"] for report in summary["reports"]} >= {
        "daily_volume", "hourly_delivery_rate", "monthly_cost", "top_recipients",
    }  # fmt: skip
    assert account.auth_token not in result.stdout + result.stderr
    status = call("status", "--json", cwd=tmp_path)
    assert json.loads(status.stdout)["last_runs"][0]["run_id"] == summary["run_id"]


@pytest.fixture
def published(warehouse: Warehouse) -> dict[str, str]:
    return {"WAREHOUSE_DATA_ROOT": str(warehouse.root)}


def test_the_plan_is_shown_without_running(
    tmp_path: Path, warehouse: Warehouse, account: Server
) -> None:
    before, ledger = account.requests(), (warehouse.root / "lake/extractions").stat().st_mtime_ns
    environment = {**warehouse.environment, "PREFECT_HOME": str(tmp_path)}
    result = call("run", "--plan", "--json", "--now", NOW.isoformat(), cwd=tmp_path, **environment)
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    assert {row["dataset"] for row in rows} == {
        "messages", "unsent_messages", "usage_records", "usage_triggers",
    }  # fmt: skip
    assert all(row["reason"] for row in rows)
    asked = {name: n - before[name] for name, n in account.requests().items() if n != before[name]}
    assert asked == {"accounts": 1, "accounts_ok": 1, "total": 1}
    assert (warehouse.root / "lake/extractions").stat().st_mtime_ns == ledger
    shown = call("run", "--plan", "--now", NOW.isoformat(), cwd=tmp_path, **environment)
    assert "Expected: " in shown.stdout


def test_message_shows_its_timeline(tmp_path: Path, published: dict[str, str]) -> None:
    sids = call("query", "select message_sid from lake.messages where status = 'delivered' "
                "limit 1", "--format", "csv", cwd=tmp_path, **published)  # fmt: skip
    sid = sids.stdout.split()[1]
    timeline = json.loads(call("message", sid, "--json", cwd=tmp_path, **published).stdout)
    assert [entry["event"] for entry in timeline][:1] == ["created"]
    assert {"first seen: status", "sent"} <= {entry["event"] for entry in timeline}
    unknown = call("message", "SM1", cwd=tmp_path, **published)
    assert unknown.returncode == 2
    assert "There is no message SM1" in unknown.stderr


def test_a_run_waits_for_another_that_writes_and_says_for_whom(
    tmp_path: Path, account: Server
) -> None:
    script = (
        "import sys, time\n"
        "from flows.run import start_run, writing\nfrom flows.settings import read_settings\n"
        "with writing(start_run(read_settings(), name='other')):\n"
        "    print('writing', flush=True); sys.stdin.readline()\n"
    )
    environment = {
        "TWILIO_ACCOUNT_SID": account.account_sid,
        "TWILIO_AUTH_TOKEN": account.auth_token,
        "TWILIO_API_BASE_URL": account.url,
        "WAREHOUSE_DATA_ROOT": str(tmp_path / "data"),
        "WAREHOUSE_LOCK_WAIT": "1s",
        "PREFECT_HOME": str(tmp_path),
    }
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        result = call("run", cwd=tmp_path, **environment)
        other.communicate("\n")
    assert result.returncode == 1
    assert "Waiting for run other-" in result.stderr
    assert f"process {other.pid}" in result.stderr
    assert "raise WAREHOUSE_LOCK_WAIT" in result.stderr
    assert list((tmp_path / "data").glob("**/*.parquet")) == []


@pytest.mark.parametrize(
    ("form", "start"),
    [("csv", "account_sid\n"), ("json", "["), ("parquet", "PAR1"), ("table", "┌")],
)
def test_query_prints_in_every_format(
    tmp_path: Path, published: dict[str, str], form: str, start: str
) -> None:
    sql = "select distinct account_sid from reports.daily_volume order by all;"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TWILIO_", "WAREHOUSE_"))}
    result = subprocess.run(
        [COMMAND, "query", sql, "--format", form],
        cwd=tmp_path,
        env={**clean, **published},
        capture_output=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(start.encode())


@pytest.mark.parametrize(
    "sql",
    [
        "delete from reports.daily_volume",
        "copy (select 1) to 'stolen.csv'",
        "from read_csv('/etc/passwd')",
        "attach 'other.duckdb'",
        "select * from nowhere",
        "selec 1",
    ],
)
def test_query_only_reads_and_only_the_warehouse(
    tmp_path: Path, published: dict[str, str], sql: str
) -> None:
    result = call("query", sql, cwd=tmp_path, **published)
    assert result.returncode == 2
    assert "DuckDB refused the statement" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_query_reads_the_lake_behind_the_views(tmp_path: Path, published: dict[str, str]) -> None:
    result = call("query", "select count(*) as n from marts.messages", "--format", "csv",
                  cwd=tmp_path, **published)  # fmt: skip
    assert result.stdout.split() == ["n", "20000"]


def test_report_writes_where_and_what_it_is_told(tmp_path: Path, published: dict[str, str]) -> None:
    result = call("report", "--output", "out", "--formats", "csv", cwd=tmp_path, **published)
    assert result.returncode == 0
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".csv"}
    wrong = call("report", "--formats", "pdf", cwd=tmp_path, **published)
    assert wrong.returncode == 2
    assert "Unknown format pdf" in wrong.stderr


class _NeverReady(ThreadingHTTPServer):
    """A Twilio that tells its accounts and nothing else, for as long as it is waited for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _AccountsOnly)
        self.waits = threading.Event()
        self.ends = threading.Event()


class _AccountsOnly(BaseHTTPRequestHandler):
    server: _NeverReady

    def do_GET(self) -> None:
        if "/Accounts.json" not in self.path:
            self.server.waits.set()
            self.server.ends.wait()
            return
        content = json.dumps({"accounts": [{"sid": SID, "status": "active"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def never_ready() -> Iterator[_NeverReady]:
    with _NeverReady() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.ends.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("command", ["run", "monitor"])
def test_interrupted_it_waits_for_no_answer(
    tmp_path: Path, never_ready: _NeverReady, command: str
) -> None:
    url = f"http://127.0.0.1:{never_ready.server_port}"
    with subprocess.Popen(
        [COMMAND, command], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env={**others(), **CREDENTIALS, "TWILIO_API_BASE_URL": url},
        # Who runs the tests may have told Python to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:  # fmt: skip
        try:
            assert never_ready.waits.wait(60)
            running.send_signal(signal.SIGINT)
            # An answer is waited for six times, a minute each.
            _, said = running.communicate(timeout=45)
        finally:
            running.kill()
    assert running.returncode == 1
    assert said.splitlines() == [
        "twilio-warehouse: Interrupted. What was read completely is kept; run again to go on."
    ]


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ('"$0" query "select 1" >&-', 0),
        ('"$0" query "selec 1" >&-', 2),
        ('"$0" query "select 1" >&- 2>&-', 0),
        ('"$0" query "select 1" >/dev/full', 1),
        ('"$0" report --formats csv >/dev/full', 1),
        ('"$0" query "selec 1" 2>/dev/full', 2),
    ],
)
def test_what_nobody_reads_changes_only_what_it_must(
    tmp_path: Path, published: dict[str, str], shell: str, code: int
) -> None:
    result = subprocess.run(
        ["sh", "-c", shell, COMMAND], cwd=tmp_path, env={**others(), **published}, text=True,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert result.returncode == code
    assert "Traceback" not in result.stderr
    assert ("No space left" in result.stderr) == (">/dev/full" in shell and "2>" not in shell)


def test_help_and_query_import_nothing_heavy(tmp_path: Path, published: dict[str, str]) -> None:
    script = (
        "import sys; from flows.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'prefect', 'dbt', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    for arguments in (["--help"], ["query", "select 1"]):
        result = subprocess.run(
            [sys.executable, "-c", script, *arguments], cwd=tmp_path, capture_output=True,
            text=True, env={**os.environ, **published},
        )  # fmt: skip
        assert result.stderr.splitlines()[-1] == "[]"
