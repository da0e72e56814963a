"""The dbt project by itself: its unit tests, its documentation, its contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from flows.settings import SQL_FOLDER, Settings
from flows.tasks.load import load

CONTRACT = {
    "daily_volume": "message_date account_sid channel direction currency message_count "
    "segment_count media_count attempted_count delivered_count failed_count unconfirmed_count "
    "message_cost unpriced_count is_settled",
    "hourly_delivery_rate": "message_hour utc_offset account_sid channel attempted_count "
    "delivered_count failed_count unconfirmed_count delivery_rate confirmed_delivery_rate "
    "is_settled",
    "monthly_cost": "month account_sid cost_category currency usage_quantity usage_unit cost "
    "is_settled",
    "top_recipients": "month account_sid recipient_rank recipient country message_count "
    "delivered_count failed_count message_cost reply_count currency last_message_at",
}


@pytest.fixture(scope="module")
def empty_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build file over an empty lake with everything built and every dbt test run."""
    settings = Settings(data_root=tmp_path_factory.mktemp("empty"))
    settings.build.mkdir(parents=True)
    settings.lake.mkdir()
    load.fn(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAREHOUSE_BUILD_FILE", str(settings.build_file))
        patch.setenv("DBT_TARGET_PATH", str(settings.build / "dbt"))
        patch.setenv("DBT_LOG_PATH", str(settings.build / "dbt"))
        try:
            result = dbtRunner().invoke(
                ["--quiet", "--no-print", "build", "--project-dir", str(SQL_FOLDER),
                 "--profiles-dir", str(SQL_FOLDER)]
            )  # fmt: skip
        finally:
            DuckDBConnectionManager.close_all_connections()
    failed = [
        f"{entry.node.name}: {entry.message}"
        for entry in (result.result or [])
        if entry.status not in ("success", "pass")
    ]
    assert result.success, failed or result.exception
    kinds = [entry.node.resource_type for entry in result.result]
    assert kinds.count("unit_test") >= 10
    return settings.build_file


def test_everything_builds_and_passes_on_an_empty_lake(empty_build: Path) -> None:
    with duckdb.connect(str(empty_build)) as connection:
        for name in CONTRACT:
            assert connection.execute(f"select count(*) from reports.{name}").fetchall() == [(0,)]


def test_reports_have_the_contracts_columns_in_order(empty_build: Path) -> None:
    with duckdb.connect(str(empty_build)) as connection:
        found = connection.execute(
            "select table_name, string_agg(column_name, ' ' order by ordinal_position) "
            "from information_schema.columns where table_schema = 'reports' group by all"
        ).fetchall()
    assert dict(found) == CONTRACT


def documents() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{path.name}: {entry['name']}", entry)
        for path in sorted(SQL_FOLDER.glob("**/*.yml"))
        for content in [yaml.safe_load(path.read_text())]
        for kind in ("models", "seeds")
        for entry in (content.get(kind) or [] if isinstance(content.get(kind), list) else [])
    ]


@pytest.mark.parametrize(("name", "entry"), documents(), ids=[name for name, _ in documents()])
def test_every_model_says_its_grain_and_every_column_its_meaning(
    name: str, entry: dict[str, Any]
) -> None:
    assert entry["description"].startswith("One row per ")
    assert entry["columns"]
    for column in entry["columns"]:
        assert column["description"].endswith("."), f"{name}.{column['name']}"


def test_every_model_and_seed_has_its_yaml() -> None:
    described = {entry["name"] for _, entry in documents()}
    files = {path.stem for path in SQL_FOLDER.glob("models/**/*.sql")}
    files |= {path.stem for path in SQL_FOLDER.glob("seeds/*.csv")}
    assert files == described


def test_a_status_has_one_class_and_both_languages() -> None:
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"from read_csv('{SQL_FOLDER}/seeds/message_statuses.csv')"
        ).fetchall()
    assert len(rows) == 13
    for status, is_attempted, is_delivered, is_failed, _, english, spanish in rows:
        assert not (is_delivered and is_failed), status
        assert is_attempted or not (is_delivered or is_failed), status
        assert english, status
        assert spanish, status


def test_now_is_never_the_machines_clock() -> None:
    for path in SQL_FOLDER.glob("models/**/*.sql"):
        text = path.read_text().lower()
        assert "current_" not in text, path
        assert "now()" not in text, path
