"""Decoded pages to rows of the lake, in bounded memory.

Pages of all windows come together in one `Intake`. Whenever enough of them wait, the thread that
brought the last one waits for them to be normalized (so that it cannot fetch meanwhile:
back-pressure); the rows are put aside on disk by partition. `normalize` then merges them, partition
by partition, into the lake.
"""

from __future__ import annotations

import dataclasses
import shutil
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flows.cores import CORES, on_a_core
from flows.datasets import DATASETS
from flows.lake import Lake, Transaction, split_by_partition
from flows.memory import give_back
from flows.orchestration import task
from flows.run import Extraction, Run
from transforms.ages import LONGEST_WAIT
from transforms.merge import (
    SEQUENCE,
    CompleteReads,
    MergedMessages,
    is_vanished,
    mark_vanished,
    merge_by_key,
    merge_messages,
    merge_usage_records,
)
from transforms.quarantine import reopen
from transforms.records import split_rejects
from transforms.refresh import OVERLAP
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
from transforms.windows import Span, Window

_RECORDS_AT_ONCE = 16_000
_WRITTEN_AT_ONCE = 1 << 20  # bytes
_ABANDONED_AFTER = 2 * 86_400  # seconds


@dataclass(frozen=True)
class _Part:
    """Rows of one partition, put aside: a record batch of an Arrow file."""

    path: Path
    number: int

    def read(self) -> pa.Table:
        with pa.memory_map(str(self.path)) as file:
            return pa.Table.from_batches([pa.ipc.open_file(file).get_batch(self.number)])


class Intake:
    """Where pages wait to become rows, rows wait to be merged, and the ledger's rows wait with
    them. Any thread may add."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._folder = run.settings.build / "intake" / uuid.uuid4().hex
        self._waiting: dict[str, list[tuple[int, Window, pa.Table]]] = defaultdict(list)
        self._sequence = 0
        self._lock = threading.Lock()
        self.parts: dict[tuple[str, str], list[_Part]] = defaultdict(list)
        self.rejects: list[pa.Table] = []
        self.extractions: list[Extraction] = []
        self.vanished_sids: list[str] = []
        self.other_sids: list[pa.Array] = []
        self._lost: dict[tuple[str, str], str] = {}
        _remove_abandoned(self._folder.parent)
        self._folder.mkdir(parents=True)

    def record(self, extraction: Extraction) -> None:
        """Note what came of a window; it gets into the ledger together with its rows."""
        self._run.record(extraction)
        with self._lock:
            self.extractions.append(extraction)

    def has_word_of(self, window: Window) -> bool:
        """Whether something was noted of a window, or of a part of it."""
        return any(
            (noted.window.dataset, noted.window.account_sid) == (window.dataset, window.account_sid)
            and window.start <= noted.window.start
            and noted.window.end <= window.end
            for noted in self.extractions
        )

    def vanished(self, message_sid: str) -> None:
        """Note that Twilio knows a message no more."""
        with self._lock:
            self.vanished_sids.append(message_sid)

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
        on_a_core(self._take, window.dataset, waiting)

    def flush(self) -> None:
        """Normalize what still waits."""
        with self._lock:
            waiting, self._waiting = self._waiting, defaultdict(list)
        for dataset, pages in waiting.items():
            on_a_core(self._take, dataset, pages)

    def close(self) -> None:
        """Delete what was put aside."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def outcomes(self) -> list[Extraction]:
        """What came of each window; failed where rows of it could not be kept."""
        return [self._with_loss(extraction) for extraction in self.extractions]

    def _with_loss(self, extraction: Extraction) -> Extraction:
        window = extraction.window
        reason = self._lost.get((DATASETS[window.dataset].table.name, window.account_sid))
        if reason is None or extraction.outcome not in ("ok", "empty"):
            return extraction
        failed = dataclasses.replace(extraction, outcome="failed", detail=reason)
        self._run.correct(extraction, failed)
        return failed

    def _take(self, name: str, pages: list[tuple[int, Window, pa.Table]]) -> None:
        """Normalize pages; a record that cannot even be tried goes into quarantine alone."""
        try:
            self._normalize(name, pages)
        except (OSError, MemoryError) as error:
            # Whose rows these were cannot be said of other windows' pages: they are read again.
            reason = f"What was read could not be kept: {type(error).__name__}: {error}"
            with self._lock:
                for _, window, _ in pages:
                    self._lost[DATASETS[name].table.name, window.account_sid] = reason
        except Exception as error:  # noqa: BLE001
            halves = _halves(pages)
            if halves:
                for half in halves:
                    self._take(name, half)
            else:
                ((_, window, record),) = pages
                self._note_others(DATASETS[name].table, record, "sid")
                self._reject(name, [window.account_sid], _unexpected(name, record, error))

    def _normalize(self, name: str, pages: list[tuple[int, Window, pa.Table]]) -> None:
        dataset = DATASETS[name]
        records = pa.concat_tables([page for _, _, page in pages])
        normalized = dataset.normalize(records, self._run.now, self._run.settings)
        # The frame's index still says which record a row was.
        lengths = [page.num_rows for _, _, page in pages]
        page_of_record = np.repeat(np.arange(len(pages)), lengths)
        page_of_row = page_of_record[normalized.rows.index.to_numpy()]
        sequences = np.array([sequence for sequence, _, _ in pages], dtype="int64")
        rows = conform(dataset.table, normalized.rows)
        rows = rows.append_column(SEQUENCE, pa.array(sequences[page_of_row]))
        if dataset.belongs is not None:
            starts = np.array([_naive(window.start) for _, window, _ in pages])[page_of_row]
            ends = np.array([_naive(window.end) for _, window, _ in pages])[page_of_row]
            belongs = dataset.belongs(rows, _instants(starts), _instants(ends))
            # Nearly always all do: then nothing is copied.
            if not pc.all(belongs).as_py():
                self._note_others(dataset.table, rows.filter(pc.invert(belongs)), "message_sid")
                rows = rows.filter(belongs)
        self.put_aside(dataset.table, rows)
        if len(normalized.rejects):
            asked = [window.account_sid for _, window, _ in pages]
            rejected = normalized.rejects.index.to_numpy()
            self._note_others(dataset.table, records.take(rejected), "sid")
            positions = page_of_record[rejected]
            self._reject(name, [asked[page] for page in positions], normalized.rejects)

    def _note_others(self, table: Table, records: pa.Table, column: str) -> None:
        """Messages that were received, though no row of theirs is kept, have not vanished."""
        if table is MESSAGES and records.num_rows:
            with self._lock:
                self.other_sids.append(records[column].combine_chunks())

    def put_aside(self, table: Table, rows: pa.Table) -> None:
        """Keep rows of a table, with their `sequence`, on disk until they are merged."""
        split = list(split_by_partition(table, rows))
        if not split:
            return
        path = self._folder / f"{uuid.uuid4().hex}.arrow"
        # Without a buffer every column of every partition would be a call of the system's.
        with (
            pa.output_stream(path, buffer_size=_WRITTEN_AT_ONCE) as file,
            pa.ipc.new_file(file, rows.schema) as writer,
        ):
            for _, part in split:
                writer.write_table(part.combine_chunks())
        with self._lock:
            for number, (partition, _) in enumerate(split):
                self.parts[table.name, partition].append(_Part(path, number))

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


@task(name="normalize")
def normalize(run: Run, intake: Intake) -> None:
    """Merge what the intake holds into the lake, with its ledger rows, as one step."""
    intake.flush()
    outcomes = intake.outcomes()
    reads = complete_reads(outcomes, intake.vanished_sids, run.now)
    with run.lake.transaction() as transaction:
        held = run.lake.read(ACCOUNTS)
        accounts = merge_by_key(ACCOUNTS, held, run.accounts)
        _replace_if_changed(transaction, ACCOUNTS, "", held, accounts)
        _merge(run, transaction, intake, reads)
        if intake.rejects:
            rejects = pa.concat_tables(intake.rejects)
            run.reject_count += rejects.num_rows
            transaction.append(REJECTS, _new_rejects(run, rejects))
        transaction.append(EXTRACTIONS, run.ledger([*run.take_unwritten(), *outcomes]))
    intake.close()
    give_back()


@task(name="readmit rejects")
def readmit(run: Run) -> None:
    """Normalize again what is in quarantine; what has become a row leaves it."""
    rejects = run.lake.read(REJECTS)
    if not rejects.num_rows:
        return
    intake = Intake(run)
    is_left = np.ones(rejects.num_rows, dtype=bool)
    keys = list(
        zip(rejects["rejected_at"].to_pylist(), rejects["dataset"].to_pylist(), strict=True)
    )
    for sequence, (rejected_at, name) in enumerate(sorted(set(keys))):
        dataset = DATASETS[name]
        positions = np.flatnonzero([key == (rejected_at, name) for key in keys])
        records, derived = reopen(rejects["record"].take(positions).to_pylist(), dataset.shape)
        normalized = dataset.normalize(records, rejected_at, run.settings)
        is_left[positions[normalized.rows.index]] = False
        frame = normalized.rows
        for column in derived.columns.intersection(frame.columns):
            frame[column] = derived.loc[frame.index, column]
        rows = conform(dataset.table, frame)
        intake.put_aside(
            dataset.table, rows.append_column(SEQUENCE, pa.array(np.full(len(rows), sequence)))
        )
    with run.lake.transaction() as transaction:
        _merge(run, transaction, intake, CompleteReads())
        left = rejects.filter(pa.array(is_left))
        for partition, _ in split_by_partition(REJECTS, rejects.filter(pa.array(~is_left))):
            kept = dict(split_by_partition(REJECTS, left)).get(partition, left.slice(0, 0))
            transaction.replace(REJECTS, partition, kept)
    intake.close()
    admitted = int((~is_left).sum())
    if admitted:
        run.notices.append(f"{admitted} quarantined record(s) could be normalized now.")


def complete_reads(
    extractions: Sequence[Extraction], vanished_sids: Sequence[str], now: datetime
) -> CompleteReads:
    """What was read whole, and so would show every message of it: nothing of the last hours, in
    which lists lag and messages move while they are read."""
    spans: dict[str, dict[str, list[Span]]] = {"messages": {}, "unsent_messages": {}}
    for extraction in extractions:
        window = extraction.window
        if (
            extraction.outcome in ("ok", "empty")
            and window.dataset in spans
            and not window.message_sids
        ):
            by_account = spans[window.dataset]
            end = min(window.end, now - OVERLAP)
            if window.start < end:
                by_account.setdefault(window.account_sid, []).append((window.start, end))
    return CompleteReads(spans["messages"], spans["unsent_messages"], tuple(vanished_sids))


def _merge(run: Run, transaction: Transaction, intake: Intake, reads: CompleteReads) -> None:
    """Merge the intake's rows, partition by partition, and mark messages that have vanished."""

    def merge(job: tuple[tuple[str, str], list[_Part]]) -> pa.Table | None:
        (name, partition), parts = job
        table = TABLES[name]
        return on_a_core(_merge_partition, run, transaction, table, partition, parts, reads, others)

    others = pa.concat_arrays([pa.array([], pa.string()), *intake.other_sids])
    jobs = dict(intake.parts)
    for partition in _touched_partitions(run.lake, reads):
        jobs.setdefault((MESSAGES.name, partition), [])
    # As many at a time as there are cores: pages of the next month are decoded in between.
    with ThreadPoolExecutor(CORES) as pool:
        changes = [rows for rows in pool.map(merge, jobs.items()) if rows is not None]
    if changes:
        transaction.append(MESSAGE_CHANGES, pa.concat_tables(changes))


def _touched_partitions(lake: Lake, reads: CompleteReads) -> list[str]:
    """Partitions of messages of which some may have been sent, or created, in what was read.

    The statistics of the files say when their messages were sent; no row is read for it.
    """
    if not reads.spans:
        return []
    start, end = reads.spans[0][0], reads.spans[-1][1]
    touched = []
    earliest = f"{start - LONGEST_WAIT:%Y-%m-%d}"
    for file in lake.files(MESSAGES):
        if not earliest <= file.partition <= f"{end:%Y-%m-%d}":
            continue
        if file.partition >= f"{start:%Y-%m-%d}" or lake.newest(file, "sent_at", start) >= start:
            touched.append(file.partition)
    return touched


def _merge_partition(
    run: Run, transaction: Transaction, table: Table, partition: str, parts: list[_Part],
    reads: CompleteReads, other_sids: pa.Array,
) -> pa.Table | None:  # fmt: skip
    lake = transaction.lake
    if table is MESSAGES and not parts:
        # Nothing of it was seen: only a message that has vanished would change it.
        columns = ("message_sid", "account_sid", "created_at", "sent_at", "first_seen_at",
                   "missing_since", "status")  # fmt: skip
        thin = lake.read(table, [partition], columns)
        if not is_vanished(thin, [other_sids], reads, run.now).any():
            return None
    held = lake.read(table, [partition])
    seen = [part.read() for part in parts]
    if table is MESSAGES:
        merged, received = MergedMessages(held, MESSAGE_CHANGES.schema.empty_table()), []
        if seen:
            observed = pa.concat_tables(seen)
            received.append(observed["message_sid"].combine_chunks())
            merged = merge_messages(held, observed)
        merged = mark_vanished(merged, [*received, other_sids], reads, run.now)
        rows, changes = merged.rows, merged.changes
    else:
        rows, changes = _merge_others(table, held, pa.concat_tables(seen).sort_by(SEQUENCE)), None
    _replace_if_changed(transaction, table, partition, held, rows)
    return changes if changes is not None and changes.num_rows else None


def _merge_others(table: Table, held: pa.Table, seen: pa.Table) -> pa.Table:
    if table is USAGE_RECORDS:
        return merge_usage_records(held, seen)
    return merge_by_key(table, held, seen)


def _replace_if_changed(
    transaction: Transaction, table: Table, partition: str, held: pa.Table, rows: pa.Table
) -> None:
    """Leave a file alone whose rows would be the same."""
    order = [(name, "ascending") for name in table.order]
    new = conform(table, rows).sort_by(order)
    # What the lake holds is in this order already.
    if not new.equals(held):
        transaction.write(table, partition, new)


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


def _halves(
    pages: list[tuple[int, Window, pa.Table]],
) -> list[list[tuple[int, Window, pa.Table]]]:
    """Two parts of some pages, or of the records of one; none of a single record."""
    if len(pages) > 1:
        middle = len(pages) // 2
        return [pages[:middle], pages[middle:]]
    ((sequence, window, records),) = pages
    middle = records.num_rows // 2
    if not middle:
        return []
    return [
        [(sequence, window, records.slice(0, middle))],
        [(sequence, window, records.slice(middle))],
    ]


def _unexpected(name: str, record: pa.Table, error: Exception) -> pd.DataFrame:
    """The quarantine row of a record that no rule foresaw; its values may be in the error's text,
    so only its kind is told."""
    reasons = pd.Series([f"it could not be read ({type(error).__name__})"], dtype="object")
    return split_rejects(record, reasons, DATASETS[name].shape)


def _remove_abandoned(folder: Path) -> None:
    """Delete what runs that died long ago put aside."""
    if not folder.exists():
        return
    for intake in folder.iterdir():
        if intake.stat().st_mtime < time.time() - _ABANDONED_AFTER:
            shutil.rmtree(intake, ignore_errors=True)
