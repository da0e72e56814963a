"""The whole path against the simulator: every cell equals its truth, however it was read."""

from __future__ import annotations

import os
import pkgutil
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.lake import Lake
from flows.run import start_run
from flows.settings import read_settings
from flows.tasks.load import load
from flows.tasks.model import Models, model
from simulator.process import Server, running
from simulator.truth import expected_messages
from simulator.world import World, WorldConfig
from tests.flows.conftest import NOW, Warehouse, assert_equal_to_truth, lake_only, reads_of
from transforms.tables import ACCOUNTS, EXTRACTIONS, MESSAGES, TABLES

PROJECT = Path(__file__).resolve().parents[2]
DAY = timedelta(days=1)
OLD_DUCKDB = PROJECT / ".tools" / "duckdb-1.1.3" / "bin" / "python"


def lake(warehouse: Warehouse) -> Lake:
    return Lake(warehouse.root / "lake")


def test_every_cell_of_the_reports_equals_the_truth(
    warehouse: Warehouse, world: World, first_day: datetime
) -> None:
    assert_equal_to_truth(warehouse, world, NOW, first_day)


def test_every_message_of_the_lake_is_as_twilio_shows_it(
    warehouse: Warehouse, world: World, first_day: datetime
) -> None:
    expected = expected_messages(world, NOW, first_day)
    held = {row["message_sid"]: row for row in lake(warehouse).read(MESSAGES).to_pylist()}
    assert held.keys() == expected.keys()
    for sid, row in expected.items():
        assert {name: held[sid][name] for name in row} == row


def test_reports_are_written_as_parquet_too(warehouse: Warehouse) -> None:
    for path in (warehouse.root / "reports").glob("*.csv"):
        assert pq.read_metadata(path.with_suffix(".parquet")).num_rows == len(
            warehouse.report(path.stem)
        )
    money = pq.read_schema(warehouse.root / "reports" / "monthly_cost.parquet").field("cost")
    assert money.type == pa.decimal128(18, 6)


def test_a_second_run_changes_nothing(warehouse: Warehouse) -> None:
    reports, messages = warehouse.reports(), lake(warehouse).read(MESSAGES)
    files = {file.path: file.path.stat().st_mtime_ns for file in lake(warehouse).files(MESSAGES)}
    ledger = lake(warehouse).read(EXTRACTIONS).num_rows
    warehouse.run("daily", now=NOW)
    assert warehouse.reports() == reports
    assert lake(warehouse).read(MESSAGES).equals(messages)
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert lake(warehouse).read(EXTRACTIONS).num_rows > ledger


def test_a_rebuild_from_the_lake_writes_the_same_bytes(
    warehouse: Warehouse, account: Server
) -> None:
    reports, asked = warehouse.reports(), account.requests()["total"]
    warehouse.run("rebuild")
    assert warehouse.reports() == reports
    assert account.requests()["total"] == asked


@pytest.mark.parametrize("timezone", ["America/Mexico_City", "Europe/Madrid", "Asia/Kolkata"])
def test_days_and_hours_are_those_of_the_time_zone(
    tmp_path: Path, warehouse: Warehouse, world: World, first_day: datetime, timezone: str
) -> None:
    shutil.copytree(warehouse.root / "lake", tmp_path / "lake")
    zoned = Warehouse(tmp_path, warehouse.server, {"WAREHOUSE_TIMEZONE": timezone})
    zoned.run("rebuild")
    assert_equal_to_truth(zoned, world, NOW, first_day, timezone)
    hours = {row["message_hour"]: set() for row in zoned.report("hourly_delivery_rate")}
    for row in zoned.report("hourly_delivery_rate"):
        hours[row["message_hour"]].add(row["utc_offset"])
    repeated = [hour for hour, offsets in hours.items() if len(offsets) > 1]
    assert len(repeated) <= (timezone == "Europe/Madrid")


def test_monthly_cost_adds_up_to_the_last_decimal(warehouse: Warehouse) -> None:
    totals: dict[tuple[str, str], Decimal] = {}
    for row in warehouse.report("monthly_cost"):
        key = row["month"], row["account_sid"]
        totals[key] = totals.get(key, Decimal(0)) + Decimal(row["cost"])
    with duckdb.connect(str(warehouse.root / "warehouse.duckdb"), read_only=True) as connection:
        twilio = {
            (f"{month}", account_sid): total
            for month, account_sid, total in connection.execute(
                "select date_trunc('month', usage_date)::date, account_sid, sum(cost) "
                "from lake.usage_records where category = 'totalprice' group by all"
            ).fetchall()
        }
    assert totals == twilio
    assert len(twilio) == 6


def without_seconds_to_send(reports: dict[str, bytes]) -> dict[str, list[bytes]]:
    return {
        name: [line for line in content.splitlines() if b"seconds_to_send_p95" not in line]
        for name, content in reports.items()
    }


def test_reading_day_by_day_equals_reading_at_once(tmp_path: Path) -> None:
    """Each run sees the world as it is then: statuses and prices of earlier days still change."""
    config = WorldConfig(messages=4_000, days=14, accounts=2, seed=3, until=NOW)
    world = World(config)
    days = [NOW - timedelta(days=back) for back in (9, 8, 3, 1, 0)]
    read_since = days[0].replace(hour=0) - timedelta(days=3)
    with running(config) as server:
        daily = Warehouse(tmp_path / "daily", server, {"WAREHOUSE_INITIAL_DAYS": "3"})
        for now in days:
            server.set_clock(now)
            daily.run("daily", now=now)
            assert_equal_to_truth(daily, world, now, read_since, reads=reads_of(daily))
        reports = daily.reports()
        daily.run("rebuild")  # incremental models equal a full refresh
        assert daily.reports() == reports
        # Read whole again, what lived day by day is what is read at once.
        daily.run("deep_refresh", now=NOW)
        once = Warehouse(tmp_path / "once", server)
        once.run("backfill", since=read_since.date(), until=NOW.date() + timedelta(days=1), now=NOW)
    assert_equal_to_truth(once, world, NOW, read_since)
    # Only who read daily saw which messages were scheduled before they were sent.
    assert without_seconds_to_send(once.reports()) == without_seconds_to_send(daily.reports())
    observed = ("first_seen_at", "last_seen_at")
    one, other = (
        lake(one).read(MESSAGES).drop_columns(list(observed)).sort_by("message_sid")
        for one in (once, daily)
    )
    assert one.equals(other)


def test_a_backfill_reads_the_days_asked_for_and_an_interrupted_one_goes_on(
    tmp_path: Path, account: Server, world: World
) -> None:
    filled = Warehouse(tmp_path, account, {"WAREHOUSE_UNSENT_PAGES": "0"})
    since, until = date(2026, 10, 12), date(2026, 10, 20)
    filled.run("backfill", since=since, until=until, now=NOW)
    dates = {row["message_date"] for row in filled.report("daily_volume")}
    assert (min(dates), max(dates)) == ("2026-10-12", "2026-10-19")
    windows = forget_day(filled, date(2026, 10, 15))
    before = account.requests()["messages"]
    summary = filled.run("backfill", since=since, until=until, now=NOW)
    assert "interrupted" in summary.notices[0]
    assert account.requests()["messages"] - before == windows
    # Finished now: the same range is read again.
    before = account.requests()["messages"]
    filled.run("backfill", since=since, until=until, now=NOW)
    assert account.requests()["messages"] - before > windows


def test_a_backfill_that_goes_on_another_day_searches_what_is_newer_only(
    tmp_path: Path, account: Server
) -> None:
    """And so does the first daily run after it."""
    filled = Warehouse(tmp_path, account, {"WAREHOUSE_INITIAL_DAYS": "20"})
    since = date(2026, 10, 12)

    def requests(read: Callable[[], Any]) -> int:
        before = account.requests()["messages"]
        read()
        return account.requests()["messages"] - before

    def fill(now: datetime) -> Any:
        return filled.run("backfill", since=since, now=now)

    whole = requests(lambda: fill(NOW - DAY))
    (summary,) = (filled.root / "lake" / "runs").glob("backfill-*.json")
    summary.unlink()  # as if it had died before its end
    accounts = lake(filled).read(ACCOUNTS).num_rows
    assert requests(lambda: fill(NOW)) == accounts  # a page each
    with filled.active():
        assert requests(lambda: lake_only(NOW, deep=False)) <= 2 * accounts < whole / 3


def forget_day(warehouse: Warehouse, day: date) -> int:
    """Take a day's windows out of the ledger, as if the run had died before them; how many."""
    ledger = lake(warehouse).read(EXTRACTIONS)
    is_day = [
        row["dataset"] == "messages" and row["window_start"].date() == day
        for row in ledger.to_pylist()
    ]
    with lake(warehouse).transaction() as transaction:
        transaction.replace(
            EXTRACTIONS, "2026-11", ledger.filter(pa.array([not hit for hit in is_day]))
        )
    return sum(is_day)


def test_an_api_key_reads_its_own_account(tmp_path: Path, account: Server) -> None:
    keyed = Warehouse(
        tmp_path,
        account,
        {
            "TWILIO_AUTH_TOKEN": "",
            "TWILIO_API_KEY": account.api_key,
            "TWILIO_API_SECRET": account.api_secret,
            "WAREHOUSE_INITIAL_DAYS": "1",
        },
    )
    keyed.run("daily", now=NOW)
    assert {row["account_sid"] for row in keyed.report("daily_volume")} == {account.account_sid}


def test_what_dbt_parsed_serves_every_data_root_all_settings_and_any_machine(
    tmp_path: Path, account: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {
        "WAREHOUSE_TIMEZONE": "Pacific/Auckland",
        "WAREHOUSE_LANGUAGE": "es",
        "WAREHOUSE_MONTHLY_BUDGET": "7.5",
    }
    parsed = []
    for name, settings, cores in (("one", {}, 2), ("another", others, 8)):
        monkeypatch.setattr("flows.tasks.model.CORES", cores)
        with Warehouse(tmp_path / name, account, settings).active():
            # dbt reads the environment until it has parsed.
            parsed.append(Models(start_run(read_settings(), NOW)).parsed())
    assert parsed[0].nodes.keys() == parsed[1].nodes.keys() != set()
    # dbt writes what it parsed anew, and nothing else.
    assert not (tmp_path / "another" / "build" / "dbt" / "partial_parse.msgpack").exists()


def test_models_are_parsed_in_a_pause_or_once_they_may_begin(
    tmp_path: Path, account: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, hurried = threading.Event(), queue.Queue[bool]()

    def no_pause_comes(hurry: threading.Event) -> None:
        waits.set()
        hurried.put(hurry.wait(60))

    monkeypatch.setattr("flows.tasks.model.wait_for_a_pause", no_pause_comes)
    with Warehouse(tmp_path, account, {}).active():
        for name in [name for name in os.environ if name.startswith(("DBT_", "WAREHOUSE_BUILD_"))]:
            monkeypatch.delenv(name)
        models = Models(start_run(read_settings(), NOW))
        assert waits.wait(60)
        assert hurried.empty()
        names = set(os.environ)
        models.begin()
        assert hurried.get(timeout=60)
        assert models.parsed().nodes
        # Another thread may be reading the environment by then: a new name would move it.
        assert set(os.environ) == names


def test_what_takes_the_processor_is_left_to_the_cores(
    tmp_path: Path, account: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dbt's import waits until they have nothing to do."""
    seen = set()

    def spied(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def spy(*args: Any) -> Any:
            seen.add((name, threading.current_thread().name.partition("_")[0]))
            return work(*args)

        return spy

    work = ("flows.twilio_api.decode_page", "flows.tasks.normalize.Intake._take",
            "flows.tasks.normalize._merge_partition")  # fmt: skip
    for name in work:
        monkeypatch.setattr(name, spied(name, pkgutil.resolve_name(name)))
    with Warehouse(tmp_path, account).active():
        lake_only(NOW, deep=False)
    assert seen == {(name, "core") for name in work}


def test_who_interrupts_the_models_is_told_of_no_failure(
    tmp_path: Path, account: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dbt.task.build.BuildTask.run", interrupted)
    with Warehouse(tmp_path, account, {}).active(), pytest.raises(KeyboardInterrupt):
        settings = read_settings()
        settings.build.mkdir(parents=True)
        load.fn(settings)
        model.fn(Models(start_run(settings, NOW)))


def test_no_secret_and_no_body_is_in_any_file(
    warehouse: Warehouse, world: World, account: Server
) -> None:
    secrets = [entry.auth_token for entry in world.accounts]
    secrets += [account.api_secret, "do-not-keep", "Su pedido", "Your order"]
    lines = []
    for table in TABLES.values():
        rows = lake(warehouse).read(table)
        lines += [str(row) for row in rows.to_pylist()[:3000]]
        if "body" in rows.column_names:
            assert rows["body"].null_count == rows.num_rows
    text = "\n".join(lines)
    assert not [secret for secret in secrets if secret in text]
    for path in warehouse.root.glob("**/*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in content], path


def test_a_reader_holding_the_file_neither_blocks_nor_is_blocked(warehouse: Warehouse) -> None:
    published = warehouse.root / "warehouse.duckdb"
    script = (
        "import duckdb, sys\n"
        f"c = duckdb.connect({str(published)!r}, read_only=True)\n"
        "count = 'select count(*), max(last_seen_at) from lake.messages'\n"
        "first = c.execute(count).fetchall(); print('open', flush=True); sys.stdin.readline()\n"
        "assert c.execute(count).fetchall() == first; print('same')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
        inode = published.stat().st_ino
        warehouse.run("daily", now=NOW)
        assert published.stat().st_ino != inode
        output, _ = reader.communicate("\n", timeout=60)
    assert output == "same\n"


@pytest.mark.skipif(
    not OLD_DUCKDB.exists(), reason="DuckDB 1.1.3 is not installed: `make test-tools`"
)
def test_duckdb_1_1_3_opens_the_published_file(warehouse: Warehouse) -> None:
    # What a run leaves in the build file as an earlier one wrote it must be found too.
    warehouse.run("daily", now=NOW)
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True)\n"
        "names = c.execute(\"select table_schema || '.' || table_name from "
        "information_schema.tables where table_schema in ('lake', 'marts', 'reports')\")\n"
        "names = names.fetchall()\n"
        "for (name,) in names: c.execute(f'from {name} limit 3').fetchall()\n"
        "print(duckdb.__version__, len(names), "
        "c.execute('select count(*) from marts.messages').fetchall()[0][0])\n"
    )
    output = subprocess.run(
        [OLD_DUCKDB, "-c", script, warehouse.root / "warehouse.duckdb"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert output[0] == "1.1.3"
    assert int(output[1]) >= 15
    assert int(output[2]) == lake(warehouse).read(MESSAGES).num_rows


def test_the_published_file_holds_only_what_is_published_all_of_it_commented(
    warehouse: Warehouse,
) -> None:
    with duckdb.connect(str(warehouse.root / "warehouse.duckdb"), read_only=True) as connection:
        columns = connection.execute(
            "select schema_name, table_name, column_name, comment from duckdb_columns() "
            "where not internal"
        ).fetchall()
        relations = connection.execute(
            "select schema_name, table_name, comment from duckdb_tables() where not internal "
            "union all "
            "select schema_name, view_name, comment from duckdb_views() where not internal"
        ).fetchall()
    assert {schema for schema, *_ in relations} <= {"lake", "marts", "reports", "alerts"}
    assert not [column for column in columns if not column[3]]
    assert not [relation for relation in relations if not relation[2]]
    assert {name for schema, name, _ in relations if schema == "lake"} == set(TABLES)


def test_what_the_models_keep_for_themselves_is_not_copied(warehouse: Warehouse) -> None:
    build = warehouse.root / "build"
    with duckdb.connect(str(build / "unpublished.duckdb"), read_only=True) as connection:
        ((rows,),) = connection.execute(
            "select count(*) from intermediate.int_daily_recipients"
        ).fetchall()
        forms = connection.execute(
            "select column_name, compression "
            "from pragma_storage_info('intermediate.int_daily_recipients') "
            "where segment_type = 'VARCHAR'"
        ).fetchall()
    assert rows > 100
    assert {("account_sid", "Dictionary"), ("recipient", "FSST")} <= set(forms)
    for path in (build / "warehouse.duckdb", warehouse.root / "warehouse.duckdb"):
        with duckdb.connect(str(path), read_only=True) as connection:
            names = connection.execute("select table_name from duckdb_tables()").fetchall()
            views = connection.execute(
                "select sql from duckdb_views() "
                "where not internal and schema_name != 'intermediate'"
            ).fetchall()
        assert ("int_daily_recipients",) not in names
        assert not [sql for (sql,) in views if "unpublished" in sql]
    assert not (build / "unpublished.duckdb.wal").exists()


def test_what_the_models_keep_may_be_lost(warehouse: Warehouse) -> None:
    """The run after computes all of history anew, and not what it thinks has changed."""
    unpublished = warehouse.root / "build" / "unpublished.duckdb"

    def kept() -> list[tuple[Any, ...]]:
        with duckdb.connect(str(unpublished), read_only=True) as connection:
            return connection.execute(
                "from intermediate.int_daily_recipients order by all"
            ).fetchall()

    reports, before = warehouse.reports(), kept()
    unpublished.unlink()
    warehouse.run("daily", now=NOW)
    assert kept() == before
    assert warehouse.reports() == reports


def test_a_failing_test_leaves_yesterdays_warehouse(tmp_path: Path, account: Server) -> None:
    from flows.errors import ModelError

    broken = Warehouse(tmp_path, account, {"WAREHOUSE_INITIAL_DAYS": "1"})
    broken.run("daily", now=NOW)
    published = (tmp_path / "warehouse.duckdb").stat().st_mtime_ns
    # Two rows of one message: what every count rests on is no longer true.
    file = lake(broken).files(MESSAGES)[0]
    rows = pq.read_table(file.path, partitioning=None)
    doubled = file.path.with_name("twice.parquet")
    pq.write_table(pa.concat_tables([rows, rows]), doubled)
    doubled.replace(file.path)
    with pytest.raises(ModelError, match="message"):
        broken.run("rebuild")
    assert (tmp_path / "warehouse.duckdb").stat().st_mtime_ns == published


def test_masked_numbers_reach_no_file_but_reports_still_work(
    tmp_path: Path, account: Server, world: World
) -> None:
    masked = Warehouse(
        tmp_path,
        account,
        {
            "WAREHOUSE_INITIAL_DAYS": "3",
            "WAREHOUSE_PHONE_NUMBERS": "masked",
            "WAREHOUSE_PHONE_KEY": "a key",
        },
    )
    masked.run("daily", now=NOW)
    addresses = {row["recipient"] for row in masked.report("top_recipients")}
    assert addresses
    assert not [a for a in addresses if a.lstrip("+").isdigit() and len(a) > 6 and a[0] == "+"]
    expected = expected_messages(world, NOW, NOW.replace(hour=0) - timedelta(days=3))
    held = lake(masked).read(MESSAGES)
    assert held.num_rows == len(expected)
    people = {row["recipient"] for row in expected.values() if row["direction"] != "inbound"}
    shown = {row["recipient"] for row in held.to_pylist() if row["direction"] != "inbound"}
    assert len(people) == len(shown)
