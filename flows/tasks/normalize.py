"""Decoded pages to rows of the lake, in bounded memory.

Pages of all windows come together in one `Intake`. Whenever enough of them wait, the thread that
brought the last one waits for them to be normalized (so that it cannot fetch meanwhile:
back-pressure); the rows are put aside on disk by partition. `normalize` then merges them, partition
by partition, into the lake.
"""

from __future__ import annotations

import shutil
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.cores import CORES, on_a_core
from flows.datasets import DATASETS
from flows.lake import Transaction, split_by_partition
from flows.run import Run
from transforms.merge import SEQUENCE, merge_by_key, merge_messages, merge_usage_records
from transforms.tables import (
    ACCOUNTS,
    EXTRACTIONS,
    MESSAGE_CHANGES,
    MESSAGES,
    REJECTS,
    TABLES,
    USAGE_RECORDS,
    Table,
    conform,
)
from transforms.windows import Window

_RECORDS_AT_ONCE = 16_000


class Intake:
    """Where pages wait to become rows, and rows wait to be merged. Any thread may add."""

    def __init__(self, run: Run, folder: Path) -> None:
        self._run = run
        self._folder = folder
        self._waiting: dict[str, list[tuple[int, Window, pa.Table]]] = defaultdict(list)
        self._sequence = 0
        self._lock = threading.Lock()
        self.parts: dict[tuple[str, str], list[Path]] = defaultdict(list)
        self.rejects: list[pa.Table] = []
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def add(self, window: Window, records: pa.Table) -> None:
        """Take one page of a window; may take the time to normalize those that wait."""
        if not records.num_rows:
            return
        with self._lock:
            self._sequence += 1
            waiting = self._waiting[window.dataset]
            waiting.append((self._sequence, window, records))
            if sum(page.num_rows for _, _, page in waiting) < _RECORDS_AT_ONCE:
                return
            del self._waiting[window.dataset]
        on_a_core(self._normalize, window.dataset, waiting)

    def flush(self) -> None:
        """Normalize what still waits."""
        with self._lock:
            waiting, self._waiting = self._waiting, defaultdict(list)
        for dataset, pages in waiting.items():
            on_a_core(self._normalize, dataset, pages)

    def close(self) -> None:
        """Delete what was put aside."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _normalize(self, name: str, pages: list[tuple[int, Window, pa.Table]]) -> None:
        dataset = DATASETS[name]
        records = pa.concat_tables([page for _, _, page in pages])
        normalized = dataset.normalize(records, self._run.now, self._run.settings)
        # The frame's index still says which record a row was.
        lengths = [page.num_rows for _, _, page in pages]
        page_of_record = np.repeat(np.arange(len(pages)), lengths)
        page_of_row = page_of_record[normalized.rows.index.to_numpy()]
        rows = conform(dataset.table, normalized.rows)
        sequences = np.array([sequence for sequence, _, _ in pages], dtype="int64")
        rows = rows.append_column(SEQUENCE, pa.array(sequences[page_of_row]))
        if dataset.belongs is not None:
            starts = np.array([_naive(window.start) for _, window, _ in pages])[page_of_row]
            ends = np.array([_naive(window.end) for _, window, _ in pages])[page_of_row]
            rows = rows.filter(dataset.belongs(rows, _instants(starts), _instants(ends)))
        for partition, part in split_by_partition(dataset.table, rows):
            self._put_aside(dataset.table, partition, part)
        if len(normalized.rejects):
            asked = [window.account_sid for _, window, _ in pages]
            positions = page_of_record[normalized.rejects.index.to_numpy()]
            self._reject(name, [asked[page] for page in positions], normalized.rejects)

    def _put_aside(self, table: Table, partition: str, rows: pa.Table) -> None:
        with self._lock:
            parts = self.parts[table.name, partition]
            path = self._folder / f"{table.name}.{partition}.{len(parts)}.arrow"
            parts.append(path)
        feather.write_feather(rows, path, compression="uncompressed")

    def _reject(self, dataset: str, asked: list[str], rejects: pd.DataFrame) -> None:
        rows = rejects.assign(
            run_id=self._run.run_id,
            dataset=dataset,
            # A record without an account belongs to the one it was asked of.
            account_sid=rejects["account_sid"].where(rejects["account_sid"] != "", asked),
            rejected_at=self._run.now,
        )
        with self._lock:
            self.rejects.append(conform(REJECTS, rows))


@task(name="normalize", cache_policy=NO_CACHE)
def normalize(run: Run, intake: Intake) -> None:
    """Merge what the intake holds into the lake, with its ledger rows, as one step."""
    intake.flush()
    with run.lake.transaction() as transaction:
        held = run.lake.read(ACCOUNTS)
        accounts = merge_by_key(ACCOUNTS, held, run.accounts)
        _replace_if_changed(transaction, ACCOUNTS, "", held, accounts)

        def merge(job: tuple[tuple[str, str], list[Path]]) -> pa.Table | None:
            (name, partition), parts = job
            return _merge_partition(transaction, TABLES[name], partition, parts)

        with ThreadPoolExecutor(CORES) as pool:
            changes = [rows for rows in pool.map(merge, intake.parts.items()) if rows is not None]
        if changes:
            transaction.append(MESSAGE_CHANGES, pa.concat_tables(changes))
        if intake.rejects:
            rejects = pa.concat_tables(intake.rejects)
            run.reject_count += rejects.num_rows
            transaction.append(REJECTS, _new_rejects(run, rejects))
        transaction.append(EXTRACTIONS, run.take_ledger())
    intake.close()
    # What Arrow keeps for later would be missing to the models.
    pa.default_memory_pool().release_unused()


def _merge_partition(
    transaction: Transaction, table: Table, partition: str, parts: list[Path]
) -> pa.Table | None:
    lake = transaction.lake
    held = lake.read(table, [partition])
    seen = pa.concat_tables([feather.read_table(path) for path in parts])
    seen = seen.sort_by(SEQUENCE)
    changes = None
    if table is MESSAGES:
        merged = merge_messages(held, seen)
        rows, changes = merged.rows, merged.changes
    elif table is USAGE_RECORDS:
        rows = merge_usage_records(held, seen)
    else:
        rows = merge_by_key(table, held, seen)
    _replace_if_changed(transaction, table, partition, held, rows)
    return changes if changes is not None and changes.num_rows else None


def _replace_if_changed(
    transaction: Transaction, table: Table, partition: str, held: pa.Table, rows: pa.Table
) -> None:
    """Leave a file alone whose rows would be the same."""
    order = [(name, "ascending") for name in table.order]
    new = conform(table, rows).sort_by(order)
    if not new.equals(held.sort_by(order)):
        transaction.replace(table, partition, new)


def _new_rejects(run: Run, rejects: pa.Table) -> pa.Table:
    """Rejects that are not in quarantine yet: a window read again brings the same ones."""
    held = run.lake.read(REJECTS)
    known = set(zip(held["reason"].to_pylist(), held["record"].to_pylist(), strict=True))
    fresh = []
    for reason, record in zip(
        rejects["reason"].to_pylist(), rejects["record"].to_pylist(), strict=True
    ):
        fresh.append((reason, record) not in known)
        known.add((reason, record))
    return rejects.filter(pa.array(fresh, pa.bool_()))


def _naive(instant: datetime) -> np.datetime64:
    return np.datetime64(instant.replace(tzinfo=None), "us")


def _instants(values: np.ndarray) -> pa.Array:
    return pa.array(values).cast(pa.timestamp("us", "UTC"))
