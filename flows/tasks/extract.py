"""Ask Twilio, page by page."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Protocol

import pyarrow as pa

from flows import progress
from flows.datasets import ACCOUNT_LIST, DATASETS, MESSAGES_SENT
from flows.errors import TwilioError, WrongUseError
from flows.orchestration import task
from flows.run import Extraction, Run
from flows.twilio_api import last_instant
from transforms.accounts import ACCOUNT_RECORD, normalize_accounts
from transforms.records import NewestFirst, Page, decode_records
from transforms.tables import ACCOUNTS, conform
from transforms.windows import Window

_CHECKED_AT_ONCE = 8  # pages


class Sink(Protocol):
    """Where pages and the word of what came of a window go."""

    def add(self, window: Window, records: pa.Table) -> None:
        """Take one page of a window."""

    def record(self, extraction: Extraction) -> None:
        """Note what came of a window."""

    def vanished(self, message_sid: str) -> None:
        """Note that Twilio knows a message no more."""


@task(name="extract accounts")
def extract_accounts(run: Run) -> list[str]:
    """The accounts to read, main account first; the lake's `accounts` gets what is known of them.

    An API key may not list accounts (twilio.com/docs/iam/api-keys): it reads its own alone.

    Raises:
        TwilioError: the main account cannot be reached at all.
        WrongUseError: WAREHOUSE_SUBACCOUNTS names an account the credentials do not reach.
    """
    main, choice = run.settings.account_sid, run.settings.subaccounts
    window = Window(ACCOUNT_LIST.name, main, run.now, run.now)
    pages: list[pa.Table] = []
    try:
        if run.connection.uses_api_key:
            pages.append(decode_records([run.connection.account()], ACCOUNT_RECORD))
        else:
            pages.extend(page.records for page in run.connection.pages(ACCOUNT_LIST, window))
    except TwilioError as error:
        # A standard key may not read accounts, and a wrong one may read nothing at all.
        may_still_read = (
            run.connection.uses_api_key
            and error.status in (401, 403)
            and run.connection.may_read(MESSAGES_SENT, main, run.now)
        )
        run.record(Extraction(window, error.outcome, 0, 0, str(error)))
        if not may_still_read:
            raise
        run.notices.append(
            "The API key may not read account details; messages and usage are tried all the same."
        )
    accounts = ACCOUNTS.schema.empty_table()
    if pages:
        accounts = conform(ACCOUNTS, normalize_accounts(pa.concat_tables(pages)).rows)
        run.record_account_list(Extraction(window, "ok", len(pages), accounts.num_rows))
    run.accounts = accounts
    subs = [sid for sid in accounts["account_sid"].to_pylist() if sid != main]
    if choice == "all":
        chosen = subs
    elif choice == "none":
        chosen = []
    else:
        chosen = [sid.strip() for sid in choice.split(",") if sid.strip() not in ("", main)]
        unknown = sorted(set(chosen) - set(subs))
        if unknown:
            raise WrongUseError(
                f"WAREHOUSE_SUBACCOUNTS names {', '.join(unknown)}, which these credentials do "
                "not reach. Write all, none, or SIDs of sub-accounts of TWILIO_ACCOUNT_SID."
            )
    return [main, *sorted(chosen)]


@task(task_run_name="extract {window.dataset} {window.label} {window.account_sid}")  # fmt: skip
def extract(window: Window, run: Run, sink: Sink) -> None:
    """Give every page of the window to the sink; note in the ledger what came of it.

    Raises:
        TwilioError: the window could not be read whole. What was read has been given on.
    """
    is_scan = bool(DATASETS[window.dataset].ordered_by)
    try:
        if window.dataset == "messages":
            left = run.scans.left_of(window)
            if left is None:
                return
            window = left
        with _failures_in_the_ledger(window, run, sink) as count:
            if is_scan:
                try:
                    _scan(window, run, sink, count)
                except Exception:
                    _note_what_was_left_to(window, run, sink)
                    raise
            else:
                for page in run.connection.pages(DATASETS[window.dataset], window):
                    _take(page, window, sink, count)
                outcome = "ok" if count.records else "empty"
                sink.record(Extraction(window, outcome, count.pages, count.records))
    finally:
        if is_scan:
            run.scans.end(window.account_sid)
        progress.window()


@task(task_run_name="extract single messages {window.label} {window.account_sid}")  # fmt: skip
def extract_singles(window: Window, run: Run, sink: Sink) -> None:
    """Give known messages without date_sent to the sink, asked for one by one.

    The ledger gets a row for each second in which some of them were created.

    Raises:
        TwilioError: one could not be read. What was read has been given on.
    """
    created_at = dict(zip(window.message_sids, window.instants, strict=True))
    try:
        if run.scans.covers(window):
            return
        for second, sids in groupby(window.message_sids, key=created_at.__getitem__):
            part = dataclasses.replace(
                window, start=second, end=second + timedelta(seconds=1),
                message_sids=tuple(sids), instants=(),
            )  # fmt: skip
            with _failures_in_the_ledger(part, run, sink) as count:
                for sid in part.message_sids:
                    count.pages += 1
                    try:
                        records = run.connection.message(window.account_sid, sid)
                    except TwilioError as error:
                        if error.outcome != "not_found":
                            raise
                        sink.vanished(sid)
                        continue
                    count.records += 1
                    sink.add(part, records)
                sink.record(Extraction(part, "ok", count.pages, count.records))
    finally:
        progress.window()


@dataclass
class _Count:
    pages: int = 0
    records: int = 0


@contextmanager
def _failures_in_the_ledger(window: Window, run: Run, sink: Sink) -> Iterator[_Count]:
    count = _Count()
    reason = run.why_given_up(window)
    if reason is not None:
        detail = f"Not asked for any more: {reason.detail}"
        sink.record(Extraction(window, reason.outcome, 0, 0, detail))
        raise TwilioError(detail, reason.outcome)
    try:
        yield count
    except TwilioError as error:
        sink.record(Extraction(window, error.outcome, count.pages, count.records, str(error)))
        # Accounts without usage, and days before an account existed, are answered with 404
        # (github.com/twilio/twilio-python/issues/787): nothing to read is no failure.
        if error.outcome == "not_found" and window.dataset == "usage_records":
            return
        raise
    except Exception as error:
        sink.record(Extraction(window, "failed", count.pages, count.records, type(error).__name__))
        raise


def _take(page: Page, window: Window, sink: Sink, count: _Count) -> None:
    count.pages += 1
    count.records += page.records.num_rows
    progress.page(page.records.num_rows)
    sink.add(window, page.records)


def _note_what_was_left_to(scan: Window, run: Run, sink: Sink) -> None:
    """Message windows have left to a scan what it had read; it failed, so these are not read."""
    passed = run.scans.passed(scan)
    if passed is not None:
        sent = dataclasses.replace(passed, dataset="messages")
        sink.record(Extraction(sent, "failed", 0, 0, "Left to a scan that failed further down."))


def _scan(window: Window, run: Run, sink: Sink, count: _Count) -> None:
    """Read the list without a filter, newest first, until it is older than the window."""
    dataset, most = DATASETS[window.dataset], run.settings.unsent_pages
    reached, detail = run.now, None
    order, unchecked = NewestFirst(dataset.ordered_by), list[pa.Table]()
    for page in run.connection.pages(dataset, window):
        _take(page, window, sink, count)
        unchecked.append(page.records.select(order.columns))
        last = last_instant(page, dataset.ordered_by)
        if page.next_page_uri is None or (last is not None and last < window.start):
            reached = window.start
            break
        if last is not None:
            # Others of the same second may be on the next page.
            reached = last + timedelta(seconds=1)
        if count.pages >= most:
            detail = (
                f"Stopped after {count.pages} pages (WAREHOUSE_UNSENT_PAGES) at "
                f"{reached:%Y-%m-%d %H:%M} UTC; older unsent messages were not looked for."
            )
            break
        # Windows wait to hear how far it may get: that, the first page says. How far it got, they
        # hear every few pages; what a scan that fails had read since is read once more.
        if len(unchecked) < _CHECKED_AT_ONCE and count.pages > 1:
            continue
        order.look_at(unchecked)
        unchecked.clear()
        pace = (run.now - reached) / count.pages
        if order.is_kept:
            # Half as far again may be quiet days: better to wait for it than to read twice.
            farthest = reached - 1.5 * pace * (most - count.pages)
            run.scans.advance(window.account_sid, reached, farthest)
    order.look_at(unchecked)
    reached = min(reached, window.end)
    # Windows have left to it all that it had passed before it went back up.
    passed = run.scans.passed(window)
    start = reached if passed is None else min(reached, passed.start)
    sent = dataclasses.replace(window, dataset="messages", start=start)
    if (start < reached or not order.is_kept) and sent.start < sent.end:
        # The list is not ordered as Twilio says it is: newer messages may be further down.
        for page in run.connection.pages(DATASETS["messages"], sent):
            _take(page, sent, sink, count)
    run.scans.advance(window.account_sid, reached, reached)
    read = dataclasses.replace(window, start=reached)
    outcome = "ok" if count.records else "empty"
    sink.record(Extraction(read, outcome, count.pages, count.records, detail))
    if sent.start < sent.end:
        sink.record(Extraction(sent, outcome, 0, 0, "Read by the scan of the newest messages."))
