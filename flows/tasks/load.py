"""Show the lake to DuckDB as schema `lake`, and say what changed since the last build.

The build file gets views, not copies: each reads an immutable version of every lake file, a hard
link that keeps the file's content when the lake replaces it. So a published warehouse and whoever
has it open see one state of the lake for as long as they like, and a load costs what has changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Container
from importlib.metadata import version
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from flows.cores import CORES
from flows.lake import Lake
from flows.orchestration import task
from flows.settings import SQL_FOLDER, Settings
from transforms.tables import EXTRACTIONS, MESSAGES, TABLES, Table
from transforms.windows import join_spans

# DuckDB clients back to 1.1 open a file of this storage version. Models name forms of compression
# that it has and later ones no longer write (sql/models/intermediate/int_daily_recipients.yml).
STORAGE_VERSION = "v1.0.0"
# What no aggregate is made of.
NOT_COMPARED = {"body": "varchar", "extra": "varchar", "last_seen_at": "timestamptz"}
NOT_SHOWN = ", ".join(f"null::{kind} as {name}" for name, kind in NOT_COMPARED.items())
_KEPT_FOR = 24 * 3600  # seconds a replaced version stays for readers of an older warehouse


@task(name="load")
def load(settings: Settings) -> None:
    """Make the build file show the lake as it is now.

    Beside the lake's tables there are, for the models only: `lake.touched_days` (those on which
    something changed since the last successful build, and whether a message did),
    `lake.touched_messages` (all messages of these days, and some of others) and
    `lake.changed_messages` (those of the days on which a message did). Another time zone, SQL,
    program version or lake schema begins new files, so that every model is computed anew.
    """
    fingerprint = _fingerprint(settings)
    # Mostly little has changed, and dbt's import, which is waited for, needs the other core.
    threads = 1
    if not _can_continue(settings, fingerprint):
        begin_anew.fn(settings)
        _begin(settings)
        threads = CORES
    lake = Lake(settings.lake)
    current = {
        table.name: _version_files(lake, table, settings.versions) for table in TABLES.values()
    }
    with duckdb.connect(str(settings.build_file), config={"threads": threads}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set parquet_metadata_cache = true")
        connection.execute("begin")
        connection.execute("create schema if not exists lake")
        for name in ("built", "loaded"):
            connection.execute(
                f"create table if not exists pipeline.{name} (table_name varchar, path varchar)"
            )
        connection.execute(
            "create table if not exists lake.touched_days (day date, is_changed boolean)"
        )
        connection.execute(UNBUILT_DAYS)
        connection.execute("create or replace table pipeline.fingerprint as select ? as value",
                           [fingerprint])  # fmt: skip
        connection.execute(
            "create or replace table pipeline.loaded (table_name varchar, path varchar)"
        )
        for name, paths in current.items():
            connection.execute("insert into pipeline.loaded select ?, unnest(?)", [name, paths])
        have_all_columns = _look_into(connection, current[MESSAGES.name])
        for table in TABLES.values():
            is_alike = table is MESSAGES and have_all_columns
            _show(connection, table, settings.versions, current[table.name], is_alike=is_alike)
        _find_changes(connection, settings.versions)
        connection.execute(TOUCHED_DAYS, {"timezone": settings.timezone})
        _show_touched(connection, settings.versions)
        connection.execute("commit")
        built = connection.execute("select path from pipeline.built").fetchall()
    needed = {path for paths in current.values() for path in paths} | {path for (path,) in built}
    _remove_old_versions(settings, needed | _published_versions(settings))


@task(name="begin anew")
def begin_anew(settings: Settings) -> None:
    """Forget everything that was built: the next load begins empty files."""
    for file in _built_files(settings):
        for path in (file, Path(f"{file}.wal")):
            path.unlink(missing_ok=True)


def _built_files(settings: Settings) -> tuple[Path, Path]:
    return settings.build_file, settings.unpublished_file


def _begin(settings: Settings) -> None:
    """Make both files, with what says of each that it belongs to the other."""
    build_id = uuid.uuid4().hex
    for file in _built_files(settings):
        with duckdb.connect(
            str(file), config={"storage_compatibility_version": STORAGE_VERSION}
        ) as connection:
            connection.execute("create schema pipeline")
            connection.execute("create table pipeline.build as select ? as id", [build_id])


def _show(
    connection: duckdb.DuckDBPyConnection, table: Table, versions: Path, paths: list[str],
    *, is_alike: bool,
) -> None:  # fmt: skip
    select = _select(table, versions, paths, is_alike=is_alike)
    connection.execute(f"create or replace view lake.{table.name} as {select}")
    connection.execute(f"comment on view lake.{table.name} is {_literal(table.row)}")
    for name in table.schema.names:
        connection.execute(
            f"comment on column lake.{table.name}.{name} is {_literal(table.meaning(name))}"
        )


def _find_changes(connection: duckdb.DuckDBPyConnection, versions: Path) -> None:
    """Temporary relations of what differs between this load and the last successful build: the
    minutes of messages that are new, others or gone, and rows added to the ledger.

    A file of the lake holds all messages created on a day, of which a run changes few: what was
    scheduled, or got its price. So its two versions are held against each other, one day at a time.
    """

    def paths(table: Table, one: str, other: str) -> list[str]:
        return [
            path
            for (path,) in connection.execute(
                f"select path from pipeline.{one} where table_name = ? and path not in "
                f"(select path from pipeline.{other}) order by path",
                [table.name],
            ).fetchall()
        ]

    new, old = (
        {Path(path).name.split(".")[0]: path for path in paths(MESSAGES, *names)}
        for names in (("loaded", "built"), ("built", "loaded"))
    )
    alone = [path for day, path in (new | old).items() if not (day in new and day in old)]
    connection.execute("create temporary table changed_minutes (minute bigint)")
    changes = [_select(MESSAGES, versions, alone)]
    for day in new.keys() & old.keys():
        now, before = (
            _select(MESSAGES, versions, [path], without=NOT_COMPARED)
            for path in (new[day], old[day])
        )
        changes.append(
            f"select * exclude (n) from (select *, 1 as n from ({now}) union all "
            f"select *, -1 as n from ({before})) group by all having sum(n) <> 0"
        )
    for rows in changes:
        connection.execute(
            "insert into changed_minutes select distinct "
            f"epoch_us(coalesce(sent_at, created_at)) // 60_000_000 from ({rows})"
        )
    new_rows = _select(EXTRACTIONS, versions, paths(EXTRACTIONS, "loaded", "built"))
    old_rows = _select(EXTRACTIONS, versions, paths(EXTRACTIONS, "built", "loaded"))
    connection.execute(f"create temporary view changed_extractions as {new_rows} except {old_rows}")


def _look_into(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> bool:
    """Note of each file of messages what it says of itself: when they were created and sent, and
    whether it has all columns. A file stays as it is, so only new ones are opened.

    Returns whether all files have all columns.
    """
    connection.execute(
        "create table if not exists pipeline.message_files (path varchar, created_from timestamptz,"
        " created_to timestamptz, sent_from timestamptz, sent_to timestamptz, is_unsure boolean,"
        " has_all_columns boolean)"
    )
    connection.execute(
        "delete from pipeline.message_files where path not in (select unnest($paths::varchar[]))",
        {"paths": paths},
    )
    known = connection.execute("select path from pipeline.message_files").fetchall()
    new = sorted({*paths} - {path for (path,) in known})
    if new:
        connection.execute(_STATISTICS, {"paths": new, "columns": MESSAGES.schema.names})
    ((count,),) = connection.execute(
        "select count(*) from pipeline.message_files where has_all_columns"
    ).fetchall()
    return bool(count == len(paths))


def _show_touched(connection: duckdb.DuckDBPyConnection, versions: Path) -> None:
    """Only these rows are looked through to compute the touched days anew, not all of history.

    A file whose messages were all created on other days, and some sent on a touched one (they had
    been scheduled), shows no more than these. They are few, and copied: to find them, DuckDB reads
    when each message of the file was sent. What is not compared is not shown, so that no model can
    depend on it; nor is it copied, bodies above all: what was dropped from a DuckDB file can still
    be read in it.
    """
    days = connection.execute("select begins, ends from lake.touched_days").fetchall()
    files = connection.execute(_TOUCHED_FILES).fetchall()
    partly = [path for path, is_whole, _ in files if not is_whole]
    sent_then = " or ".join(
        f"(sent_at >= '{begin}' and sent_at < '{end}')" for begin, end in join_spans(days)
    )
    connection.execute(
        "create or replace table pipeline.sent_on_touched_days as "
        f"select * replace ({NOT_SHOWN}) from ({_select(MESSAGES, versions, partly)}) "
        f"where {sent_then or 'false'}"
    )
    for name, paths in {
        "touched": [path for path, is_whole, _ in files if is_whole],
        "changed": [path for path, is_whole, is_changed in files if is_whole and is_changed],
    }.items():
        connection.execute(
            f"create or replace view lake.{name}_messages as "
            f"select * replace ({NOT_SHOWN}) from ({_select(MESSAGES, versions, paths)}) "
            "union all from pipeline.sent_on_touched_days"
        )


# Days of a load of which no build succeeded: models may have kept what they made of them. The day
# may be now as it was built, and would be touched no more.
UNBUILT_DAYS = """
    create or replace temporary table unbuilt_days as
    select day, is_changed from lake.touched_days
    where exists(
        (from pipeline.loaded except from pipeline.built)
        union all
        (from pipeline.built except from pipeline.loaded)
    )
"""

# Local days on which something changed since the last successful build, from their first midnight
# to the last of the next day, with the moment and time zone of marts.messages. Where clocks go back
# over midnight a day has two; no clock goes back by more than three hours. Of a day that was only
# read again no message changed, but may be settled now.
TOUCHED_DAYS = """
    create or replace table lake.touched_days as
    with changes as (
        select
            (to_timestamp(60 * minute) at time zone $timezone)::date as first_day,
            first_day as last_day,
            true as is_changed
        from changed_minutes
        union
        select
            (window_start at time zone $timezone)::date,
            ((window_end - interval 1 microsecond) at time zone $timezone)::date,
            false
        from changed_extractions
        where dataset in ('messages', 'unsent_messages')
        union
        select day, day, is_changed from unbuilt_days
    ),
    days as (
        select day, bool_or(is_changed) as is_changed
        from (
            select
                unnest(generate_series(first_day, last_day, interval 1 day))::date as day,
                is_changed
            from changes
        )
        group by day
    ),
    midnights as (
        select
            day,
            is_changed,
            midnight,
            hours_before,
            (midnight::timestamp at time zone $timezone) - to_hours(hours_before) as instant
        from (select day, is_changed, unnest([day, day + 1]) as midnight from days)
        cross join range(4) as earlier (hours_before)
    )
    select
        day,
        is_changed,
        min(instant) as begins,
        max(instant) as ends
    from midnights
    where hours_before = 0 or (instant at time zone $timezone)::date = midnight
    group by day, is_changed
    order by day
"""

# A file without statistics may hold anything.
_STATISTICS = """
    insert into pipeline.message_files by name
    select
        file_name as path,
        min(earliest) filter (column_name = 'created_at') as created_from,
        max(latest) filter (column_name = 'created_at') as created_to,
        min(earliest) filter (column_name = 'sent_at') as sent_from,
        max(latest) filter (column_name = 'sent_at') as sent_to,
        bool_or(latest is null and coalesce(stats_null_count < num_values, true))
            filter (column_name in ('created_at', 'sent_at')) as is_unsure,
        len($columns) = count(distinct column_name) filter (column_name in $columns)
            as has_all_columns
    from (
        select
            *,
            path_in_schema as column_name,
            try_cast(stats_min_value as timestamptz) as earliest,
            try_cast(stats_max_value as timestamptz) as latest
        from parquet_metadata($paths)
    )
    group by file_name
"""

# Which files hold messages of touched days, whether any may have been created on one, and whether
# on one of which a message changed.
_TOUCHED_FILES = """
    select
        path,
        bool_or(is_unsure or coalesce(created_from < ends and created_to >= begins, false))
            as is_whole,
        bool_or(is_unsure or is_changed) as is_changed
    from pipeline.message_files
    left join lake.touched_days on true
    where is_unsure
        or (created_from < ends and created_to >= begins)
        or (sent_from < ends and sent_to >= begins)
    group by path
    order by path
"""


def _select(
    table: Table, versions: Path, paths: list[str], without: Container[str] = (),
    *, is_alike: bool = False,
) -> str:  # fmt: skip
    """The rows of some version files by column name; a file of no rows gives the columns.

    Args:
        is_alike: whether every file has all columns. Else DuckDB opens each before it begins.
    """
    columns = ", ".join(name for name in table.schema.names if name not in without)
    files = ", ".join(_literal(path) for path in [_schema_file(table, versions), *paths])
    return (
        f"select {columns} from read_parquet([{files}], "
        f"union_by_name = {str(not is_alike).lower()}, hive_partitioning = false)"
    )


def _schema_file(table: Table, versions: Path) -> str:
    description = table.schema.to_string(show_field_metadata=False)
    digest = hashlib.sha256(description.encode()).hexdigest()[:12]
    path = versions / table.name / f"schema.{digest}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".writing")
        pq.write_table(pa.Table.from_batches([], table.schema.remove_metadata()), temporary)
        os.replace(temporary, path)
    return str(path)


def _version_files(lake: Lake, table: Table, versions: Path) -> list[str]:
    """A version file for each of the table's lake files: its hard link, made if it is new."""
    folder = versions / table.name
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in lake.files(table):
        written_at = file.path.stat().st_mtime_ns
        path = folder / f"{file.partition or 'all'}.{written_at}.parquet"
        if not path.exists():
            try:
                os.link(file.path, path)
            except OSError:  # a file system without hard links
                temporary = path.with_suffix(".writing")
                shutil.copy2(file.path, temporary)
                os.replace(temporary, path)
        paths.append(str(path))
    return paths


def _published_versions(settings: Settings) -> set[str]:
    """The versions the published warehouse reads, which may be older than any build."""
    if not settings.warehouse.exists():
        return set()
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        views = connection.execute("select sql from duckdb_views() where not internal").fetchall()
    found = (path for (sql,) in views for path in re.findall(r"'((?:[^']|'')+?\.parquet)'", sql))
    return {path.replace("''", "'") for path in found}


def _remove_old_versions(settings: Settings, current: set[str]) -> None:
    """Delete versions that neither the build nor a warehouse of the last day reads."""
    # Replacing the lake's file changed its link count, and so its ctime.
    limit = time.time() - _KEPT_FOR
    for path in settings.versions.glob("*/*.parquet"):
        if str(path) not in current and not path.name.startswith("schema."):
            state = path.stat()
            if state.st_ctime < limit:
                path.unlink()


def _can_continue(settings: Settings, fingerprint: str) -> bool:
    """Whether both files are of one build, made alike, and what it was built from is still there.

    Beside a build file that takes its days as built, an empty or another unpublished file would get
    the rows of a few touched days and lack all others: of that nothing would be said.
    """
    which = "select id from pipeline.build"
    try:
        with duckdb.connect(str(settings.unpublished_file), read_only=True) as connection:
            build_id = connection.execute(which).fetchall()
        with duckdb.connect(str(settings.build_file), read_only=True) as connection:
            is_one_build = connection.execute(which).fetchall() == build_id
            ((found,),) = connection.execute("select value from pipeline.fingerprint").fetchall()
            built = connection.execute("select path from pipeline.built").fetchall()
    except (duckdb.Error, ValueError):
        return False  # a file that is not there or broken, or a build that died at its start
    return is_one_build and found == fingerprint and all(os.path.exists(path) for (path,) in built)


def _fingerprint(settings: Settings) -> str:
    digest = hashlib.sha256()
    for name in ("duckdb", "dbt-core", "dbt-duckdb", "twilio-warehouse"):
        digest.update(f"{name} {version(name)}\n".encode())
    digest.update(f"{settings.timezone} {settings.versions}\n".encode())
    for table in TABLES.values():
        digest.update(table.schema.to_string().encode())
    for path in sorted(SQL_FOLDER.glob("**/*")):
        if path.suffix in (".sql", ".yml", ".csv"):
            digest.update(path.relative_to(SQL_FOLDER).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
