"""The Parquet lake on disk: one schema a table, files replaced whole, several files at once.

A transaction writes every file under a temporary name beside its place, then a journal that names
them, then moves them. A process killed before the journal changed nothing; one killed after it is
finished by whoever opens the lake for writing next. So the lake goes from one state to the next
and is never seen half way by a run.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from threading import Lock

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.tables import EXTRACTIONS, MESSAGE_CHANGES, Table, conform

_TEMPORARY = ".writing"
# A dictionary of values that hardly recur in a file takes time and room.
_DISTINCT = frozenset(
    {"message_sid", "recipient", "created_at", "sent_at", "updated_at", "extra", "record"}
)


@dataclass(frozen=True)
class LakeFile:
    """One file of the lake and the partition value it holds ('' for an unpartitioned table)."""

    table: str
    partition: str
    path: Path


class Lake:
    """The lake under one folder. Many may read; who writes holds the run's lock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._journal = root / "journal.json"

    def files(self, table: Table) -> list[LakeFile]:
        """The table's files, by partition."""
        if table.partition is None:
            paths = [self.path(table, "")]
            return [LakeFile(table.name, "", path) for path in paths if path.exists()]
        prefix = f"{table.partition.name}="
        return [
            LakeFile(table.name, path.parent.name.removeprefix(prefix), path)
            for path in sorted((self.root / table.name).glob(f"{prefix}*/{table.name}.parquet"))
        ]

    def path(self, table: Table, partition: str) -> Path:
        """Where the rows of one partition are."""
        folder = self.root / table.name
        if table.partition is not None:
            folder = folder / f"{table.partition.name}={partition}"
        return folder / f"{table.name}.parquet"

    def read(
        self, table: Table, partitions: Iterable[str] | None = None, columns: Sequence[str] = (),
        *, is_encoded: bool = False,
    ) -> pa.Table:  # fmt: skip
        """The rows of some partitions, of all by default, in the table's present schema; of some
        columns only, if they are named.

        Args:
            is_encoded: leave texts in dictionaries, as the files have them: of few distinct ones
                this takes a third of the time.
        """
        schema = _schema_of(table, columns)
        if is_encoded:
            schema = pa.schema([_encoded(field) for field in schema])
        held = [_read_by_name(path, schema) for path in self._paths(table, partitions)]
        return pa.concat_tables(held) if held else schema.empty_table()

    def find(
        self, table: Table, partitions: Iterable[str], columns: Sequence[str], condition: str
    ) -> pa.Table:
        """Some columns of those rows of some partitions for which a condition in SQL is true, in
        the table's present schema.

        DuckDB looks for them: what is read takes a third of the time of reading it all, and does
        not wait for Python, which imports dbt meanwhile.
        """
        schema = _schema_of(table, columns)
        # DuckDB would look for every file of such a name: a folder's may have an asterisk in it.
        paths = [glob.escape(str(path)) for path in self._paths(table, partitions)]
        if not paths:
            return schema.empty_table()
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            # A column that no file has yet is null.
            connection.register("no_rows", table.schema.empty_table())
            found = connection.sql(
                f"select {', '.join(schema.names)} from (from no_rows union all by name "
                "from read_parquet($paths, union_by_name = true, hive_partitioning = false)) "
                f"where {condition}",
                params={"paths": paths},
            ).to_arrow_table()
        columns = [found[field.name].cast(field.type) for field in schema]
        return pa.Table.from_arrays(columns, schema=schema)

    def _paths(self, table: Table, partitions: Iterable[str] | None) -> list[Path]:
        """The files that are there of some partitions, of all by default."""
        if partitions is None:
            return [file.path for file in self.files(table)]
        paths = [self.path(table, partition) for partition in partitions]
        return [path for path in paths if path.exists()]

    def newest(self, file: LakeFile, column: str, default: datetime) -> datetime:
        """The latest instant of a column, from the file's statistics; the default if they do not
        tell."""
        metadata = pq.read_metadata(file.path)
        position = metadata.schema.to_arrow_schema().get_field_index(column)
        latest: list[datetime] = []
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(position).statistics
            if statistics is None or not statistics.has_min_max:
                return default
            latest.append(statistics.max)
        return max(latest, default=default)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write several files as one step; nothing is changed when the block raises."""
        self.recover()
        transaction = Transaction(self)
        yield transaction
        # A change is there before the message it led to, the ledger's word after both.
        order = {MESSAGE_CHANGES.name: 0, EXTRACTIONS.name: 2}
        moves = [
            (source, target)
            for table, source, target in sorted(
                transaction.moves, key=lambda move: (order.get(move[0], 1), move[2])
            )
        ]
        if moves:
            self._write_journal(moves)
            self._finish(moves)

    def recover(self) -> None:
        """Finish or undo what a killed process left behind. Only for who holds the lock."""
        if self._journal.exists():
            self._finish(
                [
                    (self.root / source, self.root / target)
                    for source, target in json.loads(self._journal.read_text())
                ]
            )
        for leftover in self.root.glob(f"**/*{_TEMPORARY}"):
            leftover.unlink()

    def _write_journal(self, moves: list[tuple[Path, Path]]) -> None:
        lines = [
            [str(source.relative_to(self.root)), str(target.relative_to(self.root))]
            for source, target in moves
        ]
        temporary = self._journal.with_suffix(_TEMPORARY)
        with temporary.open("w") as file:
            json.dump(lines, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._journal)
        sync_folder(self.root)

    def _finish(self, moves: list[tuple[Path, Path]]) -> None:
        for source, target in moves:
            if source.exists():
                os.replace(source, target)
        for folder in {target.parent for _, target in moves}:
            sync_folder(folder)
        self._journal.unlink(missing_ok=True)


class Transaction:
    """The files being written together. Its methods may be called from several threads."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.moves: list[tuple[str, Path, Path]] = []
        self._lock = Lock()

    def replace(self, table: Table, partition: str, rows: pa.Table) -> None:
        """The partition's rows from now on; they pass through `conform` and are sorted."""
        ordered = conform(table, rows).sort_by([(name, "ascending") for name in table.order])
        self.write(table, partition, ordered)

    def write(self, table: Table, partition: str, ordered: pa.Table) -> None:
        """The partition's rows from now on, as `conform` gave them and in the table's order."""
        path = self.lake.path(table, partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}{_TEMPORARY}")
        fields = table.schema
        with temporary.open("wb") as file:
            pq.write_table(
                ordered, file, compression="zstd", compression_level=1,
                use_dictionary=[field.name for field in fields if field.name not in _DISTINCT],
                # Of times near one another smaller than as they are, and faster to read.
                column_encoding={
                    field.name: "DELTA_BINARY_PACKED" for field in fields
                    if field.name in _DISTINCT and pa.types.is_timestamp(field.type)
                },
                # Files are chosen by their times; to find the least and the greatest of texts takes
                # an eighth of writing them.
                write_statistics=[
                    field.name for field in fields if not pa.types.is_string(field.type)
                ],
            )  # fmt: skip
            file.flush()
            os.fsync(file.fileno())
        # Files are replaced, never changed: versions that readers have open are the same file.
        temporary.chmod(0o400)
        with self._lock:
            self.moves.append((table.name, temporary, path))

    def append(self, table: Table, rows: pa.Table) -> None:
        """More rows for a table whose rows never change, beside those its partitions hold."""
        for partition, part in split_by_partition(table, rows):
            held = self.lake.read(table, [partition])
            self.replace(table, partition, pa.concat_tables([held, part]))


def split_by_partition(table: Table, rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each partition they belong to, by partition."""
    if table.partition is None or not rows.num_rows:
        yield from ((("", rows),) if rows.num_rows else ())
        return
    days = rows[table.partition.column].cast(pa.date32())
    if table.partition.period == "month":
        days = pc.floor_temporal(days, unit="month")
    # Put in order once and cut where the day changes: rows of a partition are copied once.
    order = pc.sort_indices(days)
    days, rows = days.take(order).combine_chunks(), rows.take(order)
    changes = np.flatnonzero(np.diff(days.cast(pa.int32()).to_numpy())) + 1
    length = 7 if table.partition.period == "month" else 10
    for start, end in pairwise([0, *changes.tolist(), rows.num_rows]):
        yield str(days[start])[:length], rows.slice(start, end - start)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _schema_of(table: Table, columns: Sequence[str]) -> pa.Schema:
    return pa.schema([f for f in table.schema if not columns or f.name in columns])


def _encoded(field: pa.Field) -> pa.Field:
    is_text = pa.types.is_string(field.type)
    return field.with_type(pa.dictionary(pa.int32(), field.type)) if is_text else field


def _read_by_name(path: Path, schema: pa.Schema) -> pa.Table:
    """A file's rows in the schema: a column the file lacks is null."""
    encoded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    with pq.ParquetFile(path, read_dictionary=encoded) as file:
        names = [name for name in schema.names if name in file.schema_arrow.names]
        rows = file.read(names)
    for field in schema:
        if field.name not in names:
            rows = rows.append_column(field.name, pa.nulls(rows.num_rows, field.type))
    columns = [rows[field.name].cast(field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)
