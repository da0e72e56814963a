"""A day of 25,000 new messages on a short history and on a long one, and `query` of the long one.

    python -m bench.history --messages 50000000 --days 390

The short one once in 30 days and once in as many days as the long one: reports hold days, whatever
the number of messages, and may cost what they hold.

Too many messages to be read from a simulator: four weeks of a real backfill are written into a lake
again and again, under SIDs and at seconds of their own, all settled. Customers are drawn anew as
the simulator draws them, an eighth as many as messages. The ledger says that yesterday's run had
read it all. There are none of the last hours before, which the day's run reads again: the
simulator would not list them, so that they had vanished, the more the longer the history.
`rebuild` computes everything right of the lake; then the day's run is measured.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.measure import Measurement, by_step, environment_of, measure, middle, walls
from flows.lake import Lake
from simulator.process import Server, running
from simulator.traffic import loyalty
from simulator.world import WorldConfig
from transforms.refresh import OVERLAP
from transforms.tables import ACCOUNTS, EXTRACTIONS, INSTANT, MESSAGES, MONEY, USAGE_RECORDS
from transforms.windows import first_of_month, midnight, split_months

DAY = timedelta(days=1)
SECOND = 1_000_000  # microseconds
DAY_LONG = 86_400 * SECOND
NEW = 25_000
SHORT = (1_000_000, 30)
FINAL = pa.array(["delivered", "read", "failed", "undelivered", "canceled", "received"])
INSTANTS = ("created_at", "sent_at", "updated_at", "first_seen_at", "last_seen_at")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000_000)
    parser.add_argument("--days", type=int, default=390)
    parser.add_argument(
        "--folder", type=Path, help="where the lakes are; made there if they are not"
    )
    parser.add_argument("--repeat", type=int, default=5, help="how often the day is measured")
    options = parser.parse_args()
    now = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="bench-history-"))
    histories = [SHORT, (SHORT[0], options.days), (options.messages, options.days)]
    try:
        pattern = pattern_of(folder / "pattern", now)
        lakes = [folder / f"{messages}-in-{days}-days" for messages, days in histories]
        rebuilt = []
        for (messages, days), lake in zip(histories, lakes, strict=True):
            if not lake.exists():
                write_history(pattern, Lake(lake), messages, days, now)
            rebuilt.append(rebuild(lake, now))
        # One after the other and again: what else the machine does comes and goes within minutes.
        runs: list[list[Measurement]] = [[] for _ in histories]
        for _ in range(options.repeat):
            for lake, measured in zip(lakes, runs, strict=True):
                measured.append(day_after(lake, now))
        for (messages, days), first, measured in zip(histories, rebuilt, runs, strict=True):
            print("\n".join(told(messages, days, first, measured)), flush=True)
        for (messages, days), measured in zip(histories[:-1], runs[:-1], strict=True):
            print(
                f"A day on the last one, of a day on {messages:,} messages in {days} days: "
                f"{compared(runs[-1], measured)}; "
                f"without the report {compared(runs[-1], measured, without='report')}."
            )
        print(f"`query` of a report of the last one: {query_seconds(root_of(lakes[-1])):.2f} s.")
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def pattern_of(root: Path, now: datetime) -> Lake:
    """Four weeks of a busy account as a backfill wrote them."""
    if not root.exists():
        config = WorldConfig(messages=28 * SHORT[0] // SHORT[1], days=28, seed=1, until=now - DAY)
        with running(config) as server:
            command = ["backfill", config.until.isoformat(), f"{config.start:%Y-%m-%d}"]
            measure("pattern", ours(*command), environment_of(server, root, 8), server)
    return Lake(root / "lake")


def write_history(pattern: Lake, lake: Lake, messages: int, days: int, now: datetime) -> None:
    """Fill a lake with about so many messages of the days up to yesterday's midnight, read then."""
    last_read = midnight((now - DAY).date())
    first = last_read.date() - timedelta(days=days)
    copies = messages / days / (SHORT[0] / SHORT[1])
    everyone = np.array(loyalty(messages // 8))
    everyone /= everyone[-1]
    chance = np.random.default_rng(1)
    accounts = pattern.read(ACCOUNTS)
    of_day = {file.partition: pattern.read(MESSAGES, [file.partition])
              for file in pattern.files(MESSAGES)}  # fmt: skip
    whole_days = sorted(of_day)[1:-1]  # the first and the last one are cut short
    lake.root.mkdir(parents=True)
    with lake.transaction() as transaction:
        for number in range(days):
            day = first + timedelta(days=number)
            alike = [one for one in whole_days if (date.fromisoformat(one) - day).days % 7 == 0]
            model = alike[number // 7 % len(alike)]
            shift = day - date.fromisoformat(model)
            rows = copied(of_day[model], shift, last_read, copies, chance)
            rows = with_others(rows, everyone, chance)
            transaction.replace(MESSAGES, f"{day}", rows)
        for table in (ACCOUNTS, USAGE_RECORDS):
            for file in pattern.files(table):
                transaction.replace(table, file.partition, pattern.read(table, [file.partition]))
        ledger = [
            {
                **dict.fromkeys(EXTRACTIONS.schema.names),
                "run_id": "daily-1",
                "dataset": dataset,
                "account_sid": account_sid,
                "window_start": start,
                "window_end": end,
                "read_at": last_read,
                "outcome": "ok",
                "page_count": 1,
                "record_count": 1,
            }
            for account_sid in accounts["account_sid"].to_pylist()
            for dataset, spans in {
                "messages": [(midnight(first), last_read)],
                "unsent_messages": [(midnight(first), last_read)],
                # asked for by month, and settled by month
                "usage_records": split_months(first_of_month(midnight(first)), last_read),
            }.items()
            for start, end in spans
        ]
        transaction.append(EXTRACTIONS, pa.Table.from_pylist(ledger, EXTRACTIONS.schema))


def copied(
    rows: pa.Table, shift: timedelta, read_at: datetime, copies: float, chance: np.random.Generator
) -> pa.Table:
    """A day's messages several times, so much later, settled, with SIDs and seconds of their own;
    none is of what is read again, from shortly before it was read on."""
    part = pa.array(chance.random(rows.num_rows) < copies % 1)
    rows = pa.concat_tables([*[rows] * int(copies), rows.filter(part)]).combine_chunks()
    status = pc.if_else(pc.is_in(rows["status"], FINAL), rows["status"], "delivered")
    created = rows["created_at"].cast(pa.int64()).to_numpy()
    # Up to half an hour later, but on the same day.
    later = np.minimum(
        chance.integers(1800, size=len(created)) * SECOND, DAY_LONG - SECOND - created % DAY_LONG
    )
    later = pa.array(later + shift // timedelta(microseconds=1))
    changed = {
        "message_sid": sids(rows.num_rows, chance),
        "status": status,
        "price": pc.coalesce(rows["price"], pa.scalar(Decimal("-0.0083"), MONEY)),
        "currency": pc.fill_null(rows["currency"], "USD"),
        **{name: pc.add(rows[name].cast(pa.int64()), later).cast(INSTANT) for name in INSTANTS},
    }
    end = pa.scalar(read_at - OVERLAP, INSTANT)
    was_sent = pc.less(changed["sent_at"], end)
    changed["sent_at"] = pc.if_else(was_sent, changed["sent_at"], changed["created_at"])
    return with_columns(rows, changed).filter(pc.less(changed["created_at"], end))


def with_others(rows: pa.Table, everyone: np.ndarray, chance: np.random.Generator) -> pa.Table:
    """The messages, with customers drawn anew, of the same channel and country.

    Where a country's numbers begin with 0 they are nobody's.
    """
    # Their numbers are far apart, as numbers are.
    person = np.searchsorted(everyone, chance.random(rows.num_rows)) * 387_420_489 % 10**9
    digits = pc.utf8_lpad(pa.array(person).cast(pa.string()), 9, "0")
    is_inbound = pc.equal(rows["direction"], "inbound")
    other = pc.if_else(is_inbound, rows["sender"], rows["recipient"])
    begin = pc.struct_field(
        pc.extract_regex(other, r"^(?P<begin>(?:[a-z]+:)?(?:\+(?:1|44|34|5[2457]))?)"), "begin"
    )
    other = pc.binary_join_element_wise(begin, "0", digits, "")
    return with_columns(
        rows,
        {
            "sender": pc.if_else(is_inbound, other, rows["sender"]),
            "recipient": pc.if_else(is_inbound, rows["recipient"], other),
        },
    )


def with_columns(rows: pa.Table, changed: dict[str, Any]) -> pa.Table:
    """The rows, some of their columns changed."""
    columns = [changed.get(name, rows[name]) for name in rows.column_names]
    return pa.Table.from_arrays(columns, schema=rows.schema)


def sids(count: int, chance: np.random.Generator) -> pa.Array:
    """Identifiers that nothing else has: SM and 32 hexadecimal digits."""
    digits = np.frombuffer(chance.bytes(16 * count).hex().encode(), np.uint8).reshape(count, 32)
    letters = np.tile(np.frombuffer(b"SM", np.uint8), (count, 1))
    offsets = np.arange(count + 1, dtype=np.int32) * 34
    text = np.hstack([letters, digits])
    return pa.Array.from_buffers(
        pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(text.tobytes())]
    )


def root_of(lake: Path) -> Path:
    """The data root of a history."""
    return lake.with_name(f"{lake.name}-warehouse")


def rebuild(lake: Path, now: datetime) -> Measurement:
    """Compute everything right of a lake, and keep it as it is then beside its data root."""
    root = root_of(lake)
    shutil.rmtree(root, ignore_errors=True)
    copied_tree(lake, root / "lake")
    with new_messages(now) as server:
        environment = environment_of(server, root, 8)
        rebuilt = measure("rebuild", ours("rebuild", now.isoformat()), environment, server)
    kept = root.with_name(f"{root.name}-kept")
    shutil.rmtree(kept, ignore_errors=True)
    copied_tree(root, kept)
    return rebuilt


def day_after(lake: Path, now: datetime) -> Measurement:
    """A daily run that finds so many new messages since yesterday, in what was rebuilt."""
    root = root_of(lake)
    shutil.rmtree(root)
    copied_tree(root.with_name(f"{root.name}-kept"), root)
    os.sync()  # else what was just copied is written out in the run's time
    before = message_count(root)
    with new_messages(now) as server:
        environment = environment_of(server, root, 8)
        day = measure("the day's run", ours("daily", now.isoformat()), environment, server)
    assert message_count(root) == before + NEW
    return day


def new_messages(now: datetime) -> AbstractContextManager[Server]:
    """A simulator that has the messages of the last day."""
    return running(WorldConfig(messages=NEW, days=1, seed=1, until=now))


def copied_tree(source: Path, target: Path) -> None:
    """Copy a folder. A run replaces the lake's files and changes none: these become links."""

    def copy(one: str, other: str) -> None:
        if one.endswith(".parquet"):
            os.link(one, other)
        else:
            shutil.copy2(one, other)

    shutil.copytree(source, target, copy_function=copy)


def message_count(root: Path) -> int:
    """The messages of the published warehouse."""
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        ((count,),) = connection.execute(
            "select sum(message_count)::bigint from reports.daily_volume"
        ).fetchall()
    return int(count)


def query_seconds(root: Path) -> float:
    """Wall time of `twilio-warehouse query`, from the shell and back, the best of three."""
    command = Path(sys.executable).with_name("twilio-warehouse")
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(
            [command, "query", "from reports.daily_volume order by all desc limit 10"],
            env={"WAREHOUSE_DATA_ROOT": str(root)}, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        taken.append(time.perf_counter() - began)
    return min(taken)


def ours(*arguments: str) -> list[str]:
    """The command that measures a flow of ours."""
    return [sys.executable, "-m", "bench.ours", *arguments]


def compared(
    runs: list[Measurement], others: list[Measurement], *, without: str | None = None
) -> str:
    """The wall time of each of some runs, of that of the one measured beside it: the middle ratio,
    and all, least first.

    Args:
        without: a step to leave out.
    """

    def seconds(run: Measurement) -> float:
        return run.wall - (run.steps[without].wall if without else 0)

    ratios = sorted(seconds(run) / seconds(other) for run, other in zip(runs, others, strict=True))
    return f"{median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"


def told(messages: int, days: int, rebuilt: Measurement, runs: list[Measurement]) -> list[str]:
    """The results as Markdown."""
    day = middle(runs)
    return [
        f"### {messages:,} messages in {days} days",
        "",
        f"`rebuild` took {rebuilt.wall:.1f} s and {rebuilt.peak:,.0f} MB, the day's run "
        f"{walls(runs)} s and {day.peak:,.0f} MB ({day.records:,} records).",
        *by_step(day),
        "",
    ]


if __name__ == "__main__":
    main()
