"""What a load shows to the models: all of what they compute anew, and little else. What does not
belong together it begins anew."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.lake import Lake
from flows.settings import Settings, read_settings
from flows.tasks.load import NOT_COMPARED, STORAGE_VERSION, begin_anew, load
from tests.sql.lake_rows import typed
from transforms.tables import EXTRACTIONS, INSTANT, MESSAGES, MONEY

FIRST = datetime(2026, 10, 20, tzinfo=UTC)
DAYS = 16
# In Havana clocks go back on 1 November from 01:00 to 00:00, so that day has two midnights.
ZONES = ["UTC", "America/Havana", "Europe/Madrid", "Pacific/Auckland"]


@pytest.fixture(params=ZONES)
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setenv("WAREHOUSE_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("WAREHOUSE_TIMEZONE", request.param)
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "0" * 32)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "0" * 32)
    found = read_settings()
    found.build.mkdir(parents=True)
    return found


def messages(chance: random.Random, zone: ZoneInfo) -> list[dict[str, Any]]:
    """Some of each hour, more around local midnight; one in ten is sent only after days."""
    moments = [FIRST + timedelta(seconds=chance.randrange(DAYS * 86_400)) for _ in range(1500)]
    for day in range(1, DAYS):
        midnight = datetime.combine(FIRST.date() + timedelta(days=day), datetime.min.time(), zone)
        moments += [
            midnight.astimezone(UTC) + timedelta(minutes=15 * quarter) for quarter in range(-9, 10)
        ]
    rows = []
    for number, created_at in enumerate(moments):
        waits = chance.choice([None, *[timedelta(seconds=chance.randrange(90))] * 8,
                               timedelta(hours=chance.randrange(24 * 7))])  # fmt: skip
        rows.append(
            {
                "message_sid": f"SM{number}", "account_sid": "AC1", "status": "sent",
                "created_at": created_at, "sent_at": None if waits is None else created_at + waits,
            }
        )  # fmt: skip
    return rows


def write(lake: Lake, rows: list[dict[str, Any]]) -> None:
    days = {row["created_at"].date() for row in rows}
    with lake.transaction() as transaction:
        for day in days:
            of_day = [row for row in rows if row["created_at"].date() == day]
            transaction.replace(MESSAGES, f"{day}", typed(MESSAGES, of_day))


def load_and_build(settings: Settings) -> None:
    load.fn(settings)
    with duckdb.connect(str(settings.build_file)) as connection:
        connection.execute("create or replace table pipeline.built as from pipeline.loaded")


def forget(settings: Settings) -> None:
    """Have the last load never been."""
    with duckdb.connect(str(settings.build_file)) as connection:
        connection.execute("create or replace table pipeline.loaded as from pipeline.built")


def touched(
    settings: Settings, view: str = "touched_messages"
) -> list[tuple[str, datetime, datetime | None]]:
    load.fn(settings)
    with duckdb.connect(str(settings.build_file)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(
            f"select message_sid, created_at, sent_at from lake.{view} order by all"
        ).fetchall()


def local_day(row: dict[str, Any], zone: ZoneInfo) -> date:
    return (row["sent_at"] or row["created_at"]).astimezone(zone).date()


def touched_days(settings: Settings, condition: str = "true") -> set[date]:
    with duckdb.connect(str(settings.build_file)) as connection:
        days = connection.execute(f"select day from lake.touched_days where {condition}").fetchall()
        return {day for (day,) in days}


@pytest.mark.parametrize("day", ["2026-10-24", "2026-10-25", "2026-11-01", "2026-11-02"])
def test_every_message_of_a_changed_day_is_shown(settings: Settings, day: str) -> None:
    zone = ZoneInfo(settings.timezone)
    rows = messages(random.Random(1), zone)
    lake = Lake(settings.lake)
    write(lake, rows)
    load_and_build(settings)
    assert touched(settings) == []

    of_file = [row for row in rows if f"{row['created_at'].date()}" == day]
    late = of_file[1]["created_at"] + timedelta(days=3)
    changed = [{**of_file[0], "status": "delivered"}, {**of_file[1], "sent_at": late}]
    new = {**of_file[2], "message_sid": "SM new"}
    write(lake, [*changed, new, *of_file[3:]])

    # Where they were, and where they are.
    days = {local_day(row, zone) for row in (*of_file[:3], *changed, new)}
    rows = [row for row in rows if row not in of_file[:3]] + [*changed, new]
    wanted = {row["message_sid"] for row in rows if local_day(row, zone) in days}
    shown = touched(settings)
    assert touched_days(settings) == touched_days(settings, "is_changed") == days
    assert wanted <= {sid for sid, *_ in shown}
    assert len({sid for sid, *_ in shown}) == len(shown)
    assert len(shown) < len(rows)
    assert touched(settings, "changed_messages") == shown


@pytest.mark.parametrize("settings", ["Europe/Madrid"], indirect=True)
def test_a_day_is_touched_by_whatever_a_figure_is_made_of(settings: Settings) -> None:
    """Two messages of a day; what one of them has in each column changes, one after the other."""
    zone = ZoneInfo(settings.timezone)
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    row = {"message_sid": "SM1", "account_sid": "AC1", "created_at": noon, "status": "sent"}
    other = {**row, "message_sid": "SM2", "created_at": noon + timedelta(days=3), "sent_at": noon}
    lake = Lake(settings.lake)
    values = {
        pa.string(): "something", pa.int32(): 7, pa.bool_(): True,
        INSTANT: noon + timedelta(hours=1), MONEY: Decimal("-1"),
    }  # fmt: skip
    is_touching = {}
    write(lake, [row, other])
    load_and_build(settings)
    for field in MESSAGES.schema:
        write(lake, [{**row, field.name: values[field.type]}, other])
        load.fn(settings)
        is_touching[field.name] = touched_days(settings) == {noon.astimezone(zone).date()}
        forget(settings)
    assert [name for name, touches in is_touching.items() if not touches] == list(NOT_COMPARED)


def test_days_of_a_load_that_was_not_built_stay_touched(settings: Settings) -> None:
    """What models made of it may be there still, though the lake is again as it was."""
    zone = ZoneInfo(settings.timezone)
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    row = {"message_sid": "SM1", "account_sid": "AC1", "created_at": noon, "sent_at": noon}
    other = {**row, "message_sid": "SM2", "sent_at": noon + timedelta(days=3)}
    lake = Lake(settings.lake)
    write(lake, [row, other])
    load_and_build(settings)
    days = [(noon + timedelta(days=later)).astimezone(zone).date() for later in (0, 3)]
    write(lake, [{**row, "status": "sent"}, other])
    load.fn(settings)
    assert touched_days(settings) == {days[0]}
    write(lake, [row, {**other, "status": "sent"}])
    load.fn(settings)
    assert touched_days(settings) == set(days)
    write(lake, [row, other])
    load_and_build(settings)
    assert touched_days(settings) == set(days)
    load.fn(settings)
    assert touched_days(settings) == set()


def test_a_message_that_is_there_twice_touches_its_day(settings: Settings) -> None:
    """So that it is found."""
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    row = {"message_sid": "SM1", "account_sid": "AC1", "created_at": noon, "sent_at": noon}
    lake = Lake(settings.lake)
    write(lake, [row])
    load_and_build(settings)
    write(lake, [row, row])
    assert [sid for sid, *_ in touched(settings)] == ["SM1", "SM1"]


def test_of_days_before_only_what_was_sent_on_a_changed_day_is_shown(settings: Settings) -> None:
    zone = ZoneInfo(settings.timezone)
    noon = datetime(2026, 11, 1, 12, tzinfo=zone).astimezone(UTC)
    early = [
        {"message_sid": f"SM{number}", "account_sid": "AC1", "status": "delivered",
         "created_at": noon - timedelta(days=6), "sent_at": noon + timedelta(days=wait)}
        for number, wait in enumerate([-6, -6, -1, 0, 1])
    ]  # fmt: skip
    late = [{**early[0], "message_sid": "SM9", "created_at": noon, "sent_at": noon}]
    lake = Lake(settings.lake)
    write(lake, early + late)
    load_and_build(settings)
    write(lake, [{**late[0], "status": "read"}])
    assert [sid for sid, *_ in touched(settings)] == ["SM3", "SM9"]


def test_no_body_is_copied_out_of_the_lake(settings: Settings) -> None:
    """What is dropped from a DuckDB file can still be read in it."""
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    rows = [
        {"message_sid": f"SM{number}", "account_sid": "AC1", "status": "sent",
         "created_at": noon - timedelta(days=age), "sent_at": noon,
         "body": f"a text that is nobody's business {number}",
         "extra": f"a field that is nobody's business {number}"}
        for number, age in enumerate([6, 6, 6, 0])
    ]  # fmt: skip
    lake = Lake(settings.lake)
    write(lake, rows)
    load_and_build(settings)
    write(lake, [{**rows[3], "status": "delivered"}])
    assert [sid for sid, *_ in touched(settings)] == ["SM0", "SM1", "SM2", "SM3"]
    for path in settings.build.glob("**/*"):
        if path.is_file():
            assert b"nobody's business" not in path.read_bytes(), path


def test_between_two_changed_days_little_is_shown(settings: Settings) -> None:
    zone = ZoneInfo(settings.timezone)
    noon = datetime(2026, 11, 10, 12, tzinfo=zone).astimezone(UTC)
    rows = [
        {"message_sid": f"SM{number}", "account_sid": "AC1", "status": "sent",
         "created_at": noon - timedelta(days=created), "sent_at": noon - timedelta(days=sent)}
        for number, (created, sent) in enumerate(
            [(9, 9), (5, 5), (5, 4), (5, 0), (0, 0), (9, 5), (7, 0)]
        )
    ]  # fmt: skip
    lake = Lake(settings.lake)
    write(lake, rows)
    load_and_build(settings)
    write(lake, [{**rows[4], "status": "read"}])
    assert [sid for sid, *_ in touched(settings)] == ["SM3", "SM4", "SM6"]
    write(lake, [{**rows[0], "status": "read"}, rows[5]])
    # SM0 and SM5 are of one file, which is shown whole; the day of SM5 is as it was.
    assert [sid for sid, *_ in touched(settings)] == ["SM0", "SM3", "SM4", "SM5", "SM6"]
    forget(settings)
    write(lake, [rows[0], {**rows[5], "status": "read"}])
    assert [sid for sid, *_ in touched(settings)] == [f"SM{number}" for number in range(1, 7)]
    write(lake, [{**rows[0], "status": "read"}, {**rows[5], "sent_at": rows[0]["sent_at"]}])
    load_and_build(settings)
    write(lake, [{**rows[0], "status": "sent"}, {**rows[5], "sent_at": rows[0]["sent_at"]}])
    write(lake, [{**rows[4], "status": "sent"}])
    assert [sid for sid, *_ in touched(settings)] == ["SM0", "SM3", "SM4", "SM5", "SM6"]


def test_a_file_without_statistics_is_shown_whole(settings: Settings) -> None:
    zone = ZoneInfo(settings.timezone)
    rows = messages(random.Random(1), zone)
    lake = Lake(settings.lake)
    write(lake, rows)
    plain = lake.path(MESSAGES, "2026-10-22")
    held = pq.read_table(plain)
    plain.chmod(0o600)
    pq.write_table(held, plain, write_statistics=False)
    load_and_build(settings)
    of_file = [row for row in rows if f"{row['created_at'].date()}" == "2026-11-02"]
    write(lake, [{**of_file[0], "status": "read"}, *of_file[1:]])
    shown = {sid for sid, *_ in touched(settings)}
    assert set(held["message_sid"].to_pylist()) <= shown


def test_columns_that_a_file_has_not_yet_are_null(settings: Settings) -> None:
    """DuckDB is told to look for them only where there is such a file."""
    zone = ZoneInfo(settings.timezone)
    rows = messages(random.Random(1), zone)
    lake = Lake(settings.lake)
    write(lake, rows)

    def shown() -> tuple[str, int, int]:
        load.fn(settings)
        with duckdb.connect(str(settings.build_file)) as connection:
            ((view,),) = connection.execute(
                "select sql from duckdb_views() where schema_name = 'lake' "
                "and view_name = 'messages'"
            ).fetchall()
            ((with_sid, with_status),) = connection.execute(
                "select count(message_sid), count(status) from lake.messages"
            ).fetchall()
        return view, with_sid, with_status

    view, *counts = shown()
    assert "union_by_name = false" in view
    assert counts == [len(rows), len(rows)]

    path = lake.path(MESSAGES, "2026-10-22")
    held = pq.read_table(path)
    path.unlink()
    pq.write_table(held.drop_columns(["status"]), path)
    view, *counts = shown()
    assert "union_by_name = true" in view
    assert counts == [len(rows), len(rows) - held.num_rows]

    path.unlink()
    # In another order, and of another type.
    columns = [name for name in reversed(held.column_names)]
    other = held.select(columns)
    place = other.schema.get_field_index("segment_count")
    other = other.set_column(place, "segment_count", other["segment_count"].cast(pa.int16()))
    pq.write_table(other, path)
    view, *counts = shown()
    assert "union_by_name = false" in view
    assert counts == [len(rows), len(rows)]


def test_a_day_that_was_read_again_is_shown(settings: Settings) -> None:
    zone = ZoneInfo(settings.timezone)
    rows = messages(random.Random(1), zone)
    lake = Lake(settings.lake)
    write(lake, rows)
    load_and_build(settings)
    start = datetime(2026, 10, 31, tzinfo=zone)
    end = datetime(2026, 11, 2, tzinfo=zone)
    window = {
        "run_id": "daily-1", "account_sid": "AC1", "dataset": "messages", "outcome": "ok",
        "window_start": start, "window_end": end, "read_at": end,
    }  # fmt: skip
    with lake.transaction() as transaction:
        transaction.append(EXTRACTIONS, typed(EXTRACTIONS, [window]))
    days = {date(2026, 10, 31), date(2026, 11, 1)}
    wanted = {row["message_sid"] for row in rows if local_day(row, zone) in days}
    shown = {sid for sid, *_ in touched(settings)}
    assert touched_days(settings) == days
    assert wanted <= shown
    assert len(shown) < len(rows)
    # Nothing but what is settled has to be computed anew.
    assert touched_days(settings, "is_changed") == set()
    assert len(touched(settings, "changed_messages")) < len(shown)

    # A message changes on one of two days; of the other nothing more is known to have changed.
    change = next(row for row in rows if local_day(row, zone) == date(2026, 10, 31))
    of_file = [row for row in rows if row["created_at"].date() == change["created_at"].date()]
    write(lake, [{**row, "status": "read"} if row is change else row for row in of_file])
    found = {sid for sid, *_ in touched(settings, "changed_messages")}
    assert touched_days(settings, "is_changed") == {date(2026, 10, 31)}
    assert {
        row["message_sid"] for row in rows if local_day(row, zone) == date(2026, 10, 31)
    } <= found
    assert touched_days(settings) == days
    # It is again as it was, but nothing was built: what models made of the change may be there.
    write(lake, of_file)
    load.fn(settings)
    assert touched_days(settings, "is_changed") == {date(2026, 10, 31)}


def ids(settings: Settings) -> list[str]:
    """What the build file and the unpublished one say which build they are of."""
    found = []
    for path in (settings.build_file, settings.unpublished_file):
        with duckdb.connect(str(path), read_only=True) as connection:
            ((build_id,),) = connection.execute("select id from pipeline.build").fetchall()
            found.append(build_id)
    return found


def keep_something(settings: Settings) -> None:
    with duckdb.connect(str(settings.unpublished_file)) as connection:
        connection.execute("create table if not exists kept as select 1 as kept")


def is_kept(settings: Settings) -> bool:
    with duckdb.connect(str(settings.unpublished_file), read_only=True) as connection:
        return bool(connection.execute("from duckdb_tables() where table_name = 'kept'").fetchall())


def delete(path: Path, _: Path) -> None:
    path.unlink()


def take_of_another_build(path: Path, other: Path) -> None:
    shutil.copyfile(other, path)


def make_empty(path: Path, _: Path) -> None:
    path.unlink()
    duckdb.connect(str(path)).close()


def cut_off(path: Path, _: Path) -> None:
    os.truncate(path, 5000)


def write_over(path: Path, _: Path) -> None:
    path.write_bytes(b"no database" * 5000)


@pytest.mark.parametrize("settings", ["UTC"], indirect=True)
@pytest.mark.parametrize("file", ["build_file", "unpublished_file"])
@pytest.mark.parametrize("harm", [delete, take_of_another_build, make_empty, cut_off, write_over])
def test_a_file_without_its_other_half_begins_both_anew(
    settings: Settings, file: str, harm: Callable[[Path, Path], None]
) -> None:
    """Else the unpublished one would get a few touched days, and lack all others in silence."""
    rows = messages(random.Random(1), ZoneInfo("UTC"))
    write(Lake(settings.lake), rows)
    load_and_build(settings)
    keep_something(settings)
    # That of another data root: alike in everything, but not of this build.
    other = settings.build / f"other.{file}"
    shutil.copyfile(getattr(settings, file), other)
    begin_anew.fn(settings)
    load_and_build(settings)
    keep_something(settings)
    before = ids(settings)
    assert touched(settings) == []
    assert ids(settings) == before
    assert is_kept(settings)

    harm(getattr(settings, file), other)

    assert {sid for sid, *_ in touched(settings)} == {row["message_sid"] for row in rows}
    one, same = ids(settings)
    assert one == same
    assert one not in before
    assert not is_kept(settings)


@pytest.mark.parametrize("settings", ["UTC"], indirect=True)
def test_a_load_may_die_before_each_of_its_steps(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = messages(random.Random(1), ZoneInfo("UTC"))
    write(Lake(settings.lake), rows)
    connect, unlink = duckdb.connect, Path.unlink
    left = 0

    def spied(work: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return work(*args, **options)

        return step

    deaths = 0
    while True:
        load_and_build(settings)
        keep_something(settings)
        before = ids(settings)
        with monkeypatch.context() as dying:
            left = deaths
            dying.setattr("flows.tasks.load.duckdb.connect", spied(connect))
            dying.setattr("flows.tasks.load.Path.unlink", spied(unlink))
            try:
                begin_anew.fn(settings)
                load.fn(settings)
            except KeyboardInterrupt:
                deaths += 1
            else:
                break
        shown = {sid for sid, *_ in touched(settings)}
        one, same = ids(settings)
        assert one == same
        # Nothing was begun anew, or all of it.
        assert is_kept(settings) == (one in before) == (shown == set())
    assert deaths > 8


@pytest.mark.parametrize("settings", ["UTC"], indirect=True)
def test_to_begin_anew_leaves_neither_file(settings: Settings) -> None:
    load_and_build(settings)
    files = [settings.build_file, settings.unpublished_file]
    files += [path.with_name(f"{path.name}.wal") for path in files]
    for path in files[2:]:
        path.touch()
    begin_anew.fn(settings)
    assert not [path for path in files if path.exists()]


@pytest.mark.parametrize("settings", ["UTC"], indirect=True)
def test_both_files_are_of_the_version_that_their_compression_is_of(settings: Settings) -> None:
    load.fn(settings)
    # As dbt opens them.
    with duckdb.connect(str(settings.build_file)) as connection:
        connection.execute(f"attach '{settings.unpublished_file}' as unpublished")
        versions = connection.execute(
            "select tags['storage_version'] from duckdb_databases() where path is not null"
        ).fetchall()
    assert versions == [(f"{STORAGE_VERSION}+",)] * 2
