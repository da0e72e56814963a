"""`dbt build` in sql/: every business definition, computed and tested."""

from __future__ import annotations

import gc
import json
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from flows.cores import CORES, wait_for_a_pause
from flows.errors import ModelError
from flows.orchestration import task
from flows.run import Run
from flows.settings import SQL_FOLDER, Settings

_SHOWN = 5
_LEAST_MEMORY = 300  # megabytes
_MEMORY_OF_MESSAGE = 30  # bytes; half of it is too little for fifty million to six million people
_OPTIONS = (
    "--quiet", "--no-print", "--log-level", "none", "--no-write-json",
    "--project-dir", str(SQL_FOLDER), "--profiles-dir", str(SQL_FOLDER),
)  # fmt: skip
# What the project's files leave open; dbt takes it from the environment only.
_BUILD_FILE, _UNPUBLISHED_FILE = "WAREHOUSE_BUILD_FILE", "WAREHOUSE_BUILD_UNPUBLISHED_FILE"
_MEMORY, _THREADS = "WAREHOUSE_BUILD_MEMORY", "WAREHOUSE_BUILD_THREADS"
_FOLDERS = "DBT_TARGET_PATH", "DBT_LOG_PATH"
_KEPT = SQL_FOLDER / "target" / "parsed.msgpack"
# dbt keeps its settings in the process: what a failed run left parsing must end first.
_DBT = threading.Lock()


class Models:
    """The project of models, being parsed on a thread of its own.

    dbt takes seconds to be imported and to parse, of Python alone: they begin in the first pause of
    the cores' work, as while pages are awaited, and when `begin` is called at the latest. What it
    parsed is kept beside the project, for every data root and all settings; dbt itself sees whether
    it still holds.
    """

    def __init__(self, run: Run) -> None:
        self.build_file = run.settings.build_file
        self._unpublished_file = run.settings.unpublished_file
        self._target = run.settings.build / "dbt"
        self._variables = ["--vars", _variables(run.settings)]
        self._manifest: Any = None
        self._may_begin = threading.Event()
        # To add a name moves the whole environment, which DuckDB may be reading in another thread:
        # the process would die of it. To give one another value moves nothing.
        for name in (_BUILD_FILE, _UNPUBLISHED_FILE, _MEMORY, _THREADS, *_FOLDERS):
            os.environ.setdefault(name, "")
        self._thread = threading.Thread(target=self._parse, name="models", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Import and parse from now on, pause or not."""
        self._may_begin.set()

    def build(self) -> Any:
        """`dbt build`, with what was parsed; where that failed it fails here too, and says why."""
        from dbt.cli.main import dbtRunner

        # Unit tests prove the code, not the data: `make test` runs them.
        left_out = ["--exclude-resource-type", "unit_test"]
        with duckdb.connect(str(self.build_file)) as connection:
            ((was_built, touched),) = connection.execute(
                "select exists(from pipeline.built), count(*) from lake.touched_messages"
            ).fetchall()
        if was_built:
            # A build file goes on only with the seeds it began with.
            left_out += ["--exclude-resource-type", "seed"]
        manifest = self.parsed()
        with _DBT:
            _set_environment(
                self.build_file, self._unpublished_file, self._target,
                memory_for(touched), threads_beside(CORES),
            )  # fmt: skip
            return dbtRunner(manifest=manifest).invoke(
                ["build", *_OPTIONS, *self._variables, *left_out]
            )

    def parsed(self) -> Any:
        """dbt's manifest, once it is there; None if the project could not be parsed."""
        self.begin()
        self._thread.join()
        return self._manifest

    def _parse(self) -> None:
        wait_for_a_pause(self._may_begin)
        with _DBT:
            from dbt.cli.main import dbtRunner

            # A parse is the same wherever the files are, however much memory and how many threads
            # there are, and whatever the variables are: models use them in their SQL only. dbt
            # would parse anew for others.
            names = Path(self.build_file.name), Path(self._unpublished_file.name)
            _set_environment(*names, self._target, _LEAST_MEMORY, 1)
            # Another user of the installation may have kept it for himself.
            is_kept = os.access(_KEPT, os.R_OK)
            kept = ["--partial-parse-file-path", str(_KEPT)] if is_kept else []
            written = self._target / "partial_parse.msgpack"
            before = _written_at(written)
            self._manifest = dbtRunner().invoke(["parse", *_OPTIONS, *kept]).result
            if _written_at(written) != before:
                _keep(written)


@task(name="model")
def model(models: Models) -> list[str]:
    """Build and test all models in the build file; afterwards its changes count as built.

    Returns what tests of severity warn had to say, in sentences.

    Raises:
        ModelError: a model or a test of severity error failed; the message names the first ones.
    """
    try:
        result = models.build()
    finally:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        # dbt would keep the file locked for as long as this process lives.
        DuckDBConnectionManager.close_all_connections()
    if isinstance(result.exception, KeyboardInterrupt):
        raise KeyboardInterrupt  # dbt catches it as it catches everything
    failure = None if result.success else _what_failed(result)
    warnings = _what_warned(result)
    if failure is not None:
        # Its exceptions hold connections, of which DuckDB would complain at the program's end.
        del result
        gc.collect()
        raise ModelError(failure)
    with duckdb.connect(str(models.build_file)) as connection:
        connection.execute("create or replace table pipeline.built as from pipeline.loaded")
    return warnings


def _keep(written: Path) -> None:
    # Where nobody may write beside the project, dbt goes on with what it wrote for this root.
    with suppress(OSError):
        _KEPT.parent.mkdir(exist_ok=True)
        temporary = _KEPT.with_name(f".{_KEPT.name}.{os.getpid()}")
        shutil.copyfile(written, temporary)
        temporary.replace(_KEPT)


def _variables(settings: Settings) -> str:
    return json.dumps(
        {
            "timezone": settings.timezone,
            "language": settings.language,
            "monthly_budget": settings.monthly_budget,
        }
    )


def memory_for(message_count: int) -> int:
    """Megabytes DuckDB may use to build models of so many messages. A day takes what it takes on a
    short history; a rebuild of a long one has so many groups that DuckDB, which puts them aside on
    disk, needs more to work on."""
    return int(max(_LEAST_MEMORY, message_count * _MEMORY_OF_MESSAGE / 1e6))


def threads_beside(cores: int) -> int:
    """How many threads DuckDB is told to have. It starts one less, as who asks works too; and two
    ask, for dbt builds two models at a time: together as many as there are cores."""
    return max(1, cores - 1)


def _written_at(path: Path) -> int:
    """When a file was written last, in nanoseconds; 0 if there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


def _set_environment(
    build_file: Path, unpublished_file: Path, target: Path, memory: int, threads: int
) -> None:
    os.environ[_BUILD_FILE] = str(build_file)
    os.environ[_UNPUBLISHED_FILE] = str(unpublished_file)
    os.environ[_MEMORY] = f"{memory}MB"
    os.environ[_THREADS] = str(threads)
    for name in _FOLDERS:
        os.environ[name] = str(target)


def _what_warned(result: Any) -> list[str]:
    return [
        f"{entry.node.name}: {' '.join((entry.message or 'warns').split())}"
        for entry in getattr(result.result, "results", [])
        if entry.status == "warn"
    ]


def _what_failed(result: Any) -> str:
    if result.exception is not None:
        kind = type(result.exception).__name__
        return f"The models could not be built: {result.exception or kind}"
    failed = [
        f"{entry.node.name}: {' '.join((entry.message or str(entry.status)).split())}"
        for entry in result.result.results
        if entry.status in ("error", "fail")
    ]
    more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
    return (
        "The models did not pass, the published warehouse stays as it was. "
        + "; ".join(failed[:_SHOWN])
        + more
    )
