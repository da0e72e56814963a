"""Ask Twilio, page by page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta

import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import progress
from flows.datasets import ACCOUNT_LIST, DATASETS
from flows.errors import TwilioError, WrongUseError
from flows.run import Extraction, Run
from flows.twilio_api import last_instant
from transforms.accounts import ACCOUNT_RECORD, normalize_accounts
from transforms.records import decode_records
from transforms.tables import ACCOUNTS, conform
from transforms.windows import Window

Sink = Callable[[Window, pa.Table], None]


@task(name="extract accounts", cache_policy=NO_CACHE)
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
        may_still_read = run.connection.uses_api_key and error.status in (401, 403)
        run.record(Extraction(window, error.outcome, 0, 0, str(error)))
        if not may_still_read:
            raise
        run.notices.append(
            "The API key may not read account details; messages and usage are tried all the same."
        )
    accounts = ACCOUNTS.schema.empty_table()
    if pages:
        accounts = conform(ACCOUNTS, normalize_accounts(pa.concat_tables(pages)).rows)
        run.record(Extraction(window, "ok", len(pages), accounts.num_rows))
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


@task(task_run_name="extract {window.dataset} {window.label} {window.account_sid}",
      cache_policy=NO_CACHE)  # fmt: skip
def extract(window: Window, run: Run, sink: Sink) -> None:
    """Give every page of the window to the sink; note in the run what came of it.

    Raises:
        TwilioError: the window could not be read whole. What was read has been given on.
    """
    dataset = DATASETS[window.dataset]
    if run.was_scanned(window):
        run.record(Extraction(window, "ok", 0, 0, "Read by the scan of the newest pages."))
        progress.window()
        return
    page_count = record_count = 0
    reached: datetime = window.end
    detail = None
    try:
        for page in run.connection.pages(dataset, window):
            page_count += 1
            record_count += page.records.num_rows
            progress.page(page.records.num_rows)
            sink(window, page.records)
            if dataset.ordered_by:
                reached = last_instant(page, dataset.ordered_by) or reached
                if reached < window.start:
                    break
                if page_count >= run.settings.unsent_pages and page.next_page_uri:
                    detail = (
                        f"Stopped after {page_count} pages (WAREHOUSE_UNSENT_PAGES) at "
                        f"{reached:%Y-%m-%d %H:%M} UTC; older unsent messages were not looked for."
                    )
                    # Others of the same second may be on the next page.
                    reached = min(reached + timedelta(seconds=1), window.end)
                    window = dataclasses.replace(window, start=reached)
                    break
    except TwilioError as error:
        run.record(Extraction(window, error.outcome, page_count, record_count, str(error)))
        # Accounts without usage, and days before an account existed, are answered with 404
        # (github.com/twilio/twilio-python/issues/787): nothing to read is no failure.
        if error.outcome == "not_found" and dataset.name == "usage_records":
            return
        raise
    except Exception as error:
        run.record(Extraction(window, "failed", page_count, record_count, type(error).__name__))
        raise
    finally:
        progress.window()
    if dataset.ordered_by:
        run.note_scan(window)
    outcome = "ok" if record_count else "empty"
    run.record(Extraction(window, outcome, page_count, record_count, detail))
