"""The lake's files change together or not at all."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.lake import Lake
from tests.sql.lake_rows import typed
from transforms.tables import ACCOUNTS, EXTRACTIONS, MESSAGE_CHANGES, MESSAGES


def accounts(*sids: str) -> pa.Table:
    return pa.Table.from_pylist([{"account_sid": sid} for sid in sids], schema=ACCOUNTS.schema)


def ledger_row(run_id: str, month: int = 11) -> pa.Table:
    at = datetime(2026, month, 1, tzinfo=UTC)
    return pa.Table.from_pylist(
        [
            {
                "run_id": run_id, "dataset": "messages", "account_sid": "AC1", "window_start": at,
                "window_end": at, "read_at": at, "outcome": "ok", "page_count": 1,
                "record_count": 1,
            }
        ],
        schema=EXTRACTIONS.schema,
    )  # fmt: skip


def test_what_was_written_is_read_sorted(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.transaction() as transaction:
        transaction.replace(ACCOUNTS, "", accounts("AC2", "AC1"))
    assert lake.read(ACCOUNTS)["account_sid"].to_pylist() == ["AC1", "AC2"]


def test_files_say_least_and_greatest_of_times_but_not_of_texts(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.transaction() as transaction:
        transaction.append(EXTRACTIONS, ledger_row("one"))
    (file,) = lake.files(EXTRACTIONS)
    group = pq.read_metadata(file.path).row_group(0)
    columns = [group.column(position) for position in range(group.num_columns)]
    told = {column.path_in_schema for column in columns if column.is_stats_set}
    assert {"read_at", "window_start", "record_count"} <= told
    assert not {"run_id", "account_sid", "detail"} & told


def test_appended_rows_join_those_of_their_partition(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for run_id, month in (("one", 10), ("two", 11), ("three", 11)):
        with lake.transaction() as transaction:
            transaction.append(EXTRACTIONS, ledger_row(run_id, month))
    assert [file.partition for file in lake.files(EXTRACTIONS)] == ["2026-10", "2026-11"]
    assert lake.read(EXTRACTIONS, ["2026-11"])["run_id"].to_pylist() == ["three", "two"]


def test_a_transaction_that_raises_changes_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(RuntimeError), lake.transaction() as transaction:
        transaction.replace(ACCOUNTS, "", accounts("AC1"))
        raise RuntimeError
    assert lake.read(ACCOUNTS).num_rows == 0
    lake.recover()
    assert list(tmp_path.glob("**/*.writing")) == []


@pytest.mark.parametrize("moves_done", [0, 1, 2])
def test_a_commit_killed_half_way_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves_done: int
) -> None:
    class KilledError(BaseException):
        pass

    lake = Lake(tmp_path)
    replace, done = os.replace, []

    def dying_replace(source: Path, target: Path) -> None:
        if not str(target).endswith("journal.json"):
            if len(done) == moves_done:
                raise KilledError
            done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", dying_replace)
    with pytest.raises(KilledError), lake.transaction() as transaction:
        transaction.append(EXTRACTIONS, ledger_row("one"))
        transaction.append(EXTRACTIONS, ledger_row("two", 10))
        transaction.replace(ACCOUNTS, "", accounts("AC1"))
    monkeypatch.setattr(os, "replace", replace)
    Lake(tmp_path).recover()
    assert lake.read(EXTRACTIONS)["run_id"].to_pylist() == ["two", "one"]
    assert lake.read(ACCOUNTS).num_rows == 1
    assert not (tmp_path / "journal.json").exists()


def test_the_ledger_comes_last_and_changes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    replace = os.replace

    def watched_replace(source: Path, target: Path) -> None:
        moved.append(Path(target).stem)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched_replace)
    with Lake(tmp_path).transaction() as transaction:
        transaction.append(EXTRACTIONS, ledger_row("one"))
        transaction.replace(ACCOUNTS, "", accounts("AC1"))
        change = {"message_sid": "SM1", "field": "status", "account_sid": "AC1",
                  "observed_at": datetime(2026, 11, 1, tzinfo=UTC)}  # fmt: skip
        transaction.append(
            MESSAGE_CHANGES, pa.Table.from_pylist([change], schema=MESSAGE_CHANGES.schema)
        )
    assert moved == ["journal", "message_changes", "accounts", "extractions"]


def test_an_old_file_without_a_column_is_read_with_nulls(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    path = lake.path(ACCOUNTS, "")
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"status": ["active"], "account_sid": ["AC1"]}), path)
    (row,) = lake.read(ACCOUNTS).to_pylist()
    assert (row["account_sid"], row["status"], row["name"]) == ("AC1", "active", None)
    found = lake.find(ACCOUNTS, [""], ACCOUNTS.schema.names, "name is null and status = 'active'")
    assert found.to_pylist() == [row]
    # Also where a column may not be null by now.
    pq.write_table(pa.table({"name": ["Shop"]}), path)
    for held in lake.read(ACCOUNTS), lake.find(ACCOUNTS, [""], ACCOUNTS.schema.names, "true"):
        assert held.select(["account_sid", "name"]).to_pylist() == [
            {"account_sid": None, "name": "Shop"}
        ]


@pytest.mark.parametrize(("folder", "like_it"), [("a*b", "aXb"), ("a[x]b", "axb"), ("a?b", "aXb")])
def test_rows_are_found_in_no_other_folder(tmp_path: Path, folder: str, like_it: str) -> None:
    for name in (folder, like_it):
        with Lake(tmp_path / name).transaction() as transaction:
            transaction.replace(ACCOUNTS, "", accounts(name))
    found = Lake(tmp_path / folder).find(ACCOUNTS, [""], ["account_sid"], "true")
    assert found["account_sid"].to_pylist() == [folder]


def test_rows_are_found_by_a_condition_in_the_partitions_that_are_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    noon = datetime(2026, 10, 30, 12, tzinfo=UTC)
    with lake.transaction() as transaction:
        for number in range(3):
            at = noon + timedelta(days=number)
            rows = [
                {"message_sid": f"SM{number}{status}", "status": status, "created_at": at,
                 "price": Decimal("-0.0079")}
                for status in ("failed", "sent")
            ]  # fmt: skip
            transaction.replace(MESSAGES, f"{at.date()}", typed(MESSAGES, rows))
    columns = ("message_sid", "created_at", "price")
    days = ["2026-10-30", "2026-11-01", "2026-11-02"]  # there is no file of the last
    condition = f"status = 'failed' and created_at >= '{noon.isoformat()}'"
    found = lake.find(MESSAGES, days, columns, condition)
    whole = lake.read(MESSAGES, days, columns)
    assert found.schema == whole.schema
    assert found.to_pylist() == [row for row in whole.to_pylist() if "failed" in row["message_sid"]]
    assert found["message_sid"].to_pylist() == ["SM0failed", "SM2failed"]
    assert lake.find(MESSAGES, days[2:], columns, condition).equals(found.slice(0, 0))
    encoded = lake.read(MESSAGES, days, columns, is_encoded=True)
    assert pa.types.is_dictionary(encoded.schema.field("message_sid").type)
    assert encoded.cast(whole.schema).equals(whole)


def test_rows_that_do_not_conform_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"accounts: columns missing"),
        Lake(tmp_path).transaction() as transaction,
    ):
        transaction.replace(ACCOUNTS, "", pa.table({"account_sid": ["AC1"]}))
