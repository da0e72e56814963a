"""The dbt project by itself: its unit tests, its documentation, its contract."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from flows.settings import SQL_FOLDER
from tests.sql.conftest import Build
from tests.sql.lake_rows import message

pytestmark = pytest.mark.xdist_group("sql-models")

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
    "completeness": "usage_date account_sid channel_group message_count usage_count difference "
    "last_extracted_at state",
    "errors_by_code": "message_date account_sid channel error_code message_count "
    "share_of_attempted title cause remedy is_blocked is_retryable",
    "kpis": "period_start period account_sid kpi value goal comparison is_met numerator "
    "denominator is_settled",
    "cost_reconciliation": "month account_sid currency totalprice_cost categories_cost other_cost "
    "message_usage_cost message_price_cost difference unpriced_count message_count "
    "cost_per_message",
}


COVER = {
    "sms", "mms", "sms-messages-carrierfees", "mms-messages-carrierfees", "channels-messaging",
    "channels-whatsapp", "rcs-messages", "failed-message-processing-fee", "calls",
    "calls-recordings", "phonenumbers", "a2p-registration-fees", "lookups",
}  # fmt: skip


@pytest.fixture(scope="module")
def empty_build(new_build: Callable[[], Build]) -> Build:
    """A build file over an empty lake with everything built and every dbt test run."""
    build = new_build()
    build.show({})
    kinds = [entry.node.resource_type for entry in build.dbt()]
    assert kinds.count("unit_test") >= 10
    return build


def test_everything_builds_and_passes_on_an_empty_lake(empty_build: Build) -> None:
    for name in CONTRACT:
        assert empty_build.query(f"select count(*) from reports.{name}") == [(0,)]


def test_reports_have_the_contracts_columns_in_order(empty_build: Build) -> None:
    found = empty_build.query(
        "select table_name, string_agg(column_name, ' ' order by ordinal_position) "
        "from information_schema.columns where table_schema = 'reports' group by all"
    )
    assert dict(found) == CONTRACT


def test_what_is_published_needs_nothing_that_is_not(empty_build: Build) -> None:
    private = ("intermediate", "pipeline", "lake.touched_")
    views = empty_build.query(
        "select view_name, sql from duckdb_views() where schema_name in ('marts', 'reports')"
    )
    assert [name for name, _ in views] == ["messages"]
    for name, sql in views:
        assert not [word for word in private if word in sql], name


def test_every_column_that_is_published_is_described_in_the_database(empty_build: Build) -> None:
    assert not empty_build.query(
        "select table_name, column_name from duckdb_columns() "
        "where schema_name in ('marts', 'reports', 'alerts') and comment is null"
    )


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


SEEDS = sorted(path.stem for path in SQL_FOLDER.glob("seeds/*.csv"))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_of_a_seed_has_a_key_of_its_own(empty_build: Build, seed: str) -> None:
    ((key,),) = empty_build.query(
        "select column_name from information_schema.columns where table_schema = 'marts' "
        f"and table_name = '{seed}' and ordinal_position = 1"
    )
    assert not empty_build.query(
        f"select {key} from marts.{seed} group by all having count(*) > 1 or {key} is null"
    )


def test_the_catalogue_of_errors_is_complete_in_both_languages(empty_build: Build) -> None:
    assert empty_build.query("select count(*) >= 70 from marts.error_codes") == [(True,)]
    assert not empty_build.query("""
        select error_code from marts.error_codes
        where least(title_en, title_es, cause_en, cause_es, remedy_en, remedy_es) = ''
            or title_en is null or title_es is null or cause_en is null or cause_es is null
            or remedy_en is null or remedy_es is null
            or (error_code >= 0 and (is_blocked is null or is_retryable is null))
    """)
    titles = dict(empty_build.query("select error_code, title_en from marts.error_codes"))
    # What folklore has wrong.
    assert titles[63016] == "Outside the 24-hour window"
    assert titles[63007] == "Sender's channel not found"
    assert titles[63015] == "Recipient has not joined the sandbox"
    assert titles[21408] == "Country not enabled"


def test_every_kpi_can_be_judged(empty_build: Build) -> None:
    assert not empty_build.query("""
        select kpi from marts.kpis
        where calendar not in ('local', 'gmt')
            or periods not in ('day month', 'month')
            or sources not in ('messages', 'usage', 'messages and usage')
            or unit not in ('messages', 'share', 'seconds', 'money')
            or direction not in ('up', 'down')
            or (goal is not null or is_budget) <> (comparison is not null)
            or comparison not in ('>', '>=', '<', '<=', '=')
            or (comparison is not null) <> (goal_periods is not null)
    """)


def test_every_status_has_the_class_of_the_contract(empty_build: Build) -> None:
    def having(flag: str) -> set[str]:
        rows = empty_build.query(f"select status from marts.message_statuses where {flag}")
        return {status for (status,) in rows}

    assert having("not is_attempted") == {"accepted", "scheduled", "canceled"}
    assert having("is_delivered") == {"delivered", "read"}
    assert having("is_failed") == {"failed", "undelivered"}
    assert having("is_final") == {
        "delivered", "read", "failed", "undelivered", "canceled", "received",
    }  # fmt: skip
    assert len(having("meaning_en <> '' and meaning_es <> ''")) == 13


def test_the_cost_categories_are_the_disjoint_cover(empty_build: Build) -> None:
    rows = empty_build.query("select category from marts.usage_categories where is_in_cover")
    assert {category for (category,) in rows} == COVER


def test_now_is_never_the_machines_clock() -> None:
    for path in SQL_FOLDER.glob("models/**/*.sql"):
        text = path.read_text().lower()
        assert "current_" not in text, path
        assert "now()" not in text, path


def test_variables_stand_in_sql_only() -> None:
    """The project is parsed once for all of their values (docs/adr/0010)."""
    filling = re.compile(r'\{\{ var\("\w+"\)( or "null")? \}\}')
    for folder in ("models", "macros", "tests"):
        for path in SQL_FOLDER.glob(f"{folder}/**/*.*"):
            assert "var(" not in filling.sub("", path.read_text()), path


def test_a_message_that_is_there_twice_fails_the_build(new_build: Callable[[], Build]) -> None:
    build = new_build()
    messages = [message(n, f"2026-11-0{day} 10:00", "delivered") for n, day in
                ((1, 8), (2, 8), (1, 9), (3, 9))]  # fmt: skip
    build.show({"messages": messages})
    with pytest.raises(AssertionError, match="assert_each_message_is_there_once"):
        build.dbt("--exclude-resource-type", "unit_test")
    build.update({"messages": messages[:2]})
