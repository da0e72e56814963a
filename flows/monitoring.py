"""The last hours, straight from Twilio: nothing is read from the warehouse and nothing stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from flows import progress
from flows.cores import threads_that_wait
from flows.datasets import ACCOUNT_LIST, MESSAGES_SENT, MESSAGES_UNSENT, Dataset
from flows.definitions import define, rows_of
from flows.errors import TwilioError, WrongUseError
from flows.settings import Settings
from flows.texts import Texts
from flows.twilio_api import Connection, last_instant
from transforms.accounts import normalize_accounts
from transforms.merge import SEQUENCE, merge_messages
from transforms.messages import normalize_messages
from transforms.records import Page
from transforms.tables import ACCOUNTS, INSTANT, MESSAGES, conform
from transforms.windows import Window

_ACCOUNTS_AT_ONCE = 8
_ATTEMPTS = 3


@dataclass(frozen=True)
class Account:
    """One account that was asked.

    Attributes:
        outcome: as in the ledger: ok, empty, denied, not_found or failed.
        detail: why it was not ok.
    """

    account_sid: str
    account_name: str | None
    outcome: str
    message_count: int
    detail: str | None = None


@dataclass(frozen=True)
class Monitor:
    """The messages of the last hours, in figures.

    Attributes:
        since: first instant, UTC.
        until: end, exclusive, UTC.
        delivery: a row for each channel and, with channel null, one for all; rates are 0 to 1.
        counts: messages by direction, channel and status.
        errors: outbound messages by error code (0: failed without one), with texts and remedy.
        last_messages: the newest first, numbers masked, no bodies.
        notices: what is missing from the figures, in sentences.
    """

    since: datetime
    until: datetime
    timezone: str
    accounts: list[Account]
    delivery: list[dict[str, Any]]
    counts: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    last_messages: list[dict[str, Any]]
    notices: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For a program to read."""
        return asdict(self)


def monitor_twilio(
    settings: Settings, hours: float = 24, last: int = 10, now: datetime | None = None
) -> Monitor:
    """Read every account's messages of the last hours and count them by the warehouse's rules.

    Args:
        hours: how far back.
        last: how many of the newest messages are shown.
        now: the end; the present by default.

    Raises:
        TwilioError: no account could be read.
        WrongUseError: WAREHOUSE_SUBACCOUNTS names an account the credentials do not reach.
    """
    connection = Connection(settings, attempts=_ATTEMPTS)
    until = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    since = until - timedelta(hours=hours)
    texts = Texts(settings.language)
    reading = _Reading(connection, settings, texts, since, until)
    reading.read(reading.accounts())
    with duckdb.connect() as memory:
        memory.execute("set TimeZone = 'UTC'")
        lake = {MESSAGES.name: reading.messages()}
        messages = define(memory, "messages", lake, settings.timezone)
        error_codes = define(memory, "error_codes", lake, settings.timezone)

        def ask(sql: str) -> list[dict[str, Any]]:
            return rows_of(memory.execute(sql))

        return Monitor(
            since=since,
            until=until,
            timezone=settings.timezone,
            accounts=reading.read_accounts,
            delivery=ask(_delivery(messages)),
            counts=ask(_counts(messages)),
            errors=ask(_errors(messages, error_codes, settings.language)),
            last_messages=ask(_last_messages(messages, last)),
            notices=reading.notices,
        )


class _Reading:
    """The messages of one stretch of time from all accounts."""

    def __init__(
        self, connection: Connection, settings: Settings, texts: Texts, since: datetime,
        until: datetime,
    ) -> None:  # fmt: skip
        self.read_accounts: list[Account] = []
        self.notices: list[str] = []
        self._connection = connection
        self._settings = settings
        self._texts = texts
        self._since, self._until = since, until
        self._rows: list[pa.Table] = []

    def accounts(self) -> list[tuple[str, str | None]]:
        """Identifier and name of the accounts to ask, the main account first.

        An API key may not list accounts (twilio.com/docs/iam/api-keys): it reads its own alone.
        """
        main, choice = self._settings.account_sid, self._settings.subaccounts
        if self._connection.uses_api_key:
            return [(main, None)]
        window = Window(ACCOUNT_LIST.name, main, self._since, self._until)
        try:
            pages = [page.records for page in self._connection.pages(ACCOUNT_LIST, window)]
        except TwilioError as error:
            self.notices.append(self._texts.say("monitor.accounts_unlisted", detail=error))
            return [(main, None)]
        listed = conform(ACCOUNTS, normalize_accounts(pa.concat_tables(pages)).rows)
        names = dict(
            zip(listed["account_sid"].to_pylist(), listed["name"].to_pylist(), strict=True)
        )
        subs = [sid for sid in names if sid != main]
        if choice == "none":
            subs = []
        elif choice != "all":
            wanted = [sid.strip() for sid in choice.split(",") if sid.strip()]
            if unknown := [sid for sid in wanted if sid not in names]:
                raise WrongUseError(
                    f"WAREHOUSE_SUBACCOUNTS names {', '.join(unknown)}, which {main} does not own."
                )
            subs = [sid for sid in wanted if sid != main]
        return [(sid, names.get(sid)) for sid in (main, *subs)]

    def read(self, accounts: Sequence[tuple[str, str | None]]) -> None:
        """Read the accounts side by side; one that fails stops no other.

        Raises:
            TwilioError: all failed.
        """
        progress.plan(len(accounts))
        with threads_that_wait(_ACCOUNTS_AT_ONCE) as threads:
            results = list(threads.map(self._try_account, accounts))
        for (sid, name), (rows, notices, error) in zip(accounts, results, strict=True):
            self.notices += notices
            count = 0 if rows is None else rows.num_rows
            outcome = error.outcome if error else "ok" if count else "empty"
            detail = str(error) if error else None
            self.read_accounts.append(Account(sid, name, outcome, count, detail))
            if rows is not None:
                self._rows.append(rows)
            if error:
                self.notices.append(
                    self._texts.say("monitor.denied", account=name or sid, detail=error)
                )
        errors = [error for _, _, error in results if error]
        if len(errors) == len(accounts):
            raise errors[0]

    def messages(self) -> pa.Table:
        """The messages of all accounts, as rows of the lake's `messages`."""
        return pa.concat_tables([MESSAGES.schema.empty_table(), *self._rows])

    def _try_account(
        self, account: tuple[str, str | None]
    ) -> tuple[pa.Table | None, list[str], TwilioError | None]:
        notices: list[str] = []
        try:
            return self._read_account(account[0], notices), notices, None
        except TwilioError as error:
            return None, notices, error
        finally:
            progress.window()

    def _read_account(self, account_sid: str, notices: list[str]) -> pa.Table:
        """An account's messages, sent or not.

        The list without a filter has both, newest first. Where it would take too many pages, the
        rest is read with the filter on date_sent, which shows no unsent messages.
        """
        window = Window(MESSAGES_UNSENT.name, account_sid, self._since, self._until)
        collected = _Collected(self._until, account_sid)
        reached = window.end
        if self._settings.unsent_pages:
            pages = enumerate(self._connection.pages(MESSAGES_UNSENT, window), start=1)
            for number, page in pages:
                collected.add(page, window, MESSAGES_UNSENT)
                oldest = last_instant(page, MESSAGES_UNSENT.ordered_by)
                if page.next_page_uri is None or (oldest is not None and oldest < window.start):
                    reached = window.start
                    break
                reached = reached if oldest is None else oldest
                if number >= self._settings.unsent_pages:
                    break
        if reached > window.start:
            # Its own second was perhaps read in part.
            end = min(reached + timedelta(seconds=1), window.end)
            rest = Window(MESSAGES_SENT.name, account_sid, window.start, end)
            for page in self._connection.pages(MESSAGES_SENT, rest):
                collected.add(page, rest, MESSAGES_SENT)
            shown = self._texts.instant(reached, self._settings.zone)
            notices.append(
                self._texts.say("monitor.unsent_limit", account=account_sid, reached=shown)
            )
        if collected.rejects:
            notices.append(
                self._texts.say(
                    "monitor.rejects",
                    count=self._texts.number(len(collected.rejects)),
                    account=account_sid,
                    detail="; ".join(sorted(set(collected.rejects))),
                )
            )
        return collected.rows()


class _Collected:
    """Normalized messages of one account, page after page; numbers masked, no bodies."""

    def __init__(self, seen_at: datetime, key: str) -> None:
        self.rejects: list[str] = []
        self._seen_at, self._key = seen_at, key
        self._pages: list[pa.Table] = []

    def add(self, page: Page, window: Window, dataset: Dataset) -> None:
        """Take what a page has of the window."""
        progress.page(page.records.num_rows)
        normalized = normalize_messages(
            page.records, self._seen_at, phone_numbers="masked", phone_key=self._key
        )
        self.rejects += normalized.rejects["reason"].tolist()
        rows = conform(MESSAGES, normalized.rows)
        if dataset.belongs is not None:
            start, end = (pa.scalar(bound, INSTANT) for bound in (window.start, window.end))
            rows = rows.filter(dataset.belongs(rows, start, end))
        number = np.full(rows.num_rows, len(self._pages))
        self._pages.append(rows.append_column(SEQUENCE, pa.array(number)))

    def rows(self) -> pa.Table:
        """Each message once: pages that shift while they are read show some twice."""
        empty = MESSAGES.schema.empty_table()
        return merge_messages(empty, pa.concat_tables(self._pages)).rows if self._pages else empty


def _counts(messages: str) -> str:
    return f"""
        select direction, channel, status, count(*) as message_count
        from {messages}
        group by all
        order by direction desc, channel, message_count desc, status
    """


def _delivery(messages: str) -> str:
    return f"""
        select *,
            attempted_count - delivered_count - failed_count as unconfirmed_count,
            delivered_count / nullif(attempted_count, 0) as delivery_rate,
            delivered_count / nullif(delivered_count + failed_count, 0) as confirmed_delivery_rate
        from (
            select channel,
                count(*) as message_count,
                count_if(is_attempted) as attempted_count,
                count_if(is_delivered) as delivered_count,
                count_if(is_failed) as failed_count
            from {messages}
            where direction = 'outbound'
            group by grouping sets ((channel), ())
        )
        order by channel nulls last
    """


def _errors(messages: str, error_codes: str, language: str) -> str:
    # Code 0 of the catalogue is a failure without a code, -1 a code it does not list.
    return f"""
        select failed.error_code, failed.message_count, title_{language} as title,
            remedy_{language} as remedy, is_blocked, is_retryable,
            case when failed.error_code > 0
                then 'https://www.twilio.com/docs/api/errors/' || failed.error_code
            end as url
        from (
            select coalesce(error_code, 0) as error_code, count(*) as message_count
            from {messages}
            where is_attempted and (error_code is not null or is_failed)
            group by all
        ) as failed
        left join {error_codes} as catalogue on catalogue.error_code =
            case when failed.error_code in (select error_code from {error_codes})
                then failed.error_code else -1 end
        order by message_count desc, failed.error_code
    """


def _last_messages(messages: str, last: int) -> str:
    return f"""
        select message_at, account_sid, direction, channel, status, error_code, sender, recipient,
            segment_count, message_cost, currency
        from {messages}
        order by message_at desc, message_sid
        limit {int(last)}
    """
