"""Local time without a calendar is what the calendar says."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.conftest import shared_folder
from tests.sql.conftest import VARIABLES, Build, Dbt

INSTANT = "{{ local_time('instant', ref('int_touched_dates')) }}"


@pytest.mark.parametrize(
    ("timezone", "day", "stretch_count"),
    [
        ("UTC", date(2026, 11, 1), 1),
        ("Asia/Kathmandu", date(2026, 11, 1), 1),
        ("Europe/Madrid", date(2026, 10, 25), 2),
        ("Europe/Madrid", date(2026, 3, 29), 2),
        ("America/Havana", date(2026, 11, 1), 2),  # back over midnight
        ("Australia/Lord_Howe", date(2026, 10, 4), 2),  # by half an hour
        ("America/St_Johns", date(2010, 11, 7), 2),  # at one minute past midnight
        ("Pacific/Apia", date(2011, 12, 30), 2),  # by a whole day
    ],
)
def test_local_time_is_what_the_calendar_says(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    timezone: str,
    day: date,
    stretch_count: int,
) -> None:
    parses = shared_folder(tmp_path_factory) / "dbt"
    dbt = Dbt(tmp_path, parses, variables={**VARIABLES, "timezone": timezone})
    build = Build(tmp_path / "warehouse.duckdb", dbt)
    build.query("create schema intermediate")
    build.query("create table intermediate.int_touched_dates (message_date date)")
    build.query(
        "insert into intermediate.int_touched_dates "
        f"values ('{day - timedelta(days=1)}'), ('{day + timedelta(days=2)}')"
    )
    shown = build.shown(
        f"""
        select
            {INSTANT[:-3]}.count('interval') }}}} as stretch_count,
            count(*) as instant_count,
            count(*) filter (where {INSTANT} is distinct from instant at time zone '{timezone}')
                as wrong_count
        from (
            select
                unnest(
                    generate_series(
                        timestamptz '{day - timedelta(days=5)} 00:00:00+00',
                        timestamptz '{day + timedelta(days=6)} 00:00:00+00',
                        interval 1 minute
                    )
                ) as instant
        )
        """
    )
    assert shown == {
        "stretch_count": stretch_count, "instant_count": 11 * 24 * 60 + 1, "wrong_count": 0
    }  # fmt: skip
