"""What was read of which account, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property

from simulator.observed import ACCOUNTS, MESSAGES, USAGE, Read, unbroken
from simulator.truth.values import DAY, midnight
from simulator.world import Account, World

# A reading at midnight sharp saw nothing of the day that begins then.
_LISTS_LAG = timedelta(hours=2)
_AN_INSTANT = timedelta(microseconds=1)


class Ledger:
    """The readings, as far as figures depend on them.

    Attributes:
        clock: the last instant at which anything was asked for.
    """

    def __init__(self, world: World, reads: Sequence[Read], clock: datetime) -> None:
        self.clock = max((read.at for read in reads), default=clock)
        self._world = world
        self._reads = reads
        self._unbroken = {dataset: unbroken(reads, dataset) for dataset in (MESSAGES, USAGE)}

    def today(self, zone: tzinfo = UTC) -> date:
        """The day that was running at the end."""
        return (self.clock - _AN_INSTANT).astimezone(zone).date()

    def stretches(self, account_sid: str, dataset: str) -> Sequence[tuple[datetime, datetime]]:
        """The unbroken stretches of time that were read."""
        return self._unbroken[dataset].get(account_sid, ())

    def covers(self, account_sid: str, dataset: str, first: datetime, end: datetime) -> bool:
        """Whether all from the first instant to the end was read."""
        return any(
            start <= first and end <= stop for start, stop in self.stretches(account_sid, dataset)
        )

    def is_complete(self, account_sid: str, first: datetime, end: datetime) -> bool:
        """Whether no message of that time can be missing: all of it was read, and its end two
        hours or more after it was over, for lists lack the newest for a while."""
        return any(
            start <= first and end <= until for start, until in self._complete.get(account_sid, ())
        )

    def covers_day(self, account_sid: str, dataset: str, day: date, zone: tzinfo = UTC) -> bool:
        """Whether all of a day was read; of the running one, its beginning."""
        first, end = midnight(day, zone), midnight(day + DAY, zone)
        if day != self.today(zone):
            return self.covers(account_sid, dataset, first, end)
        return any(start <= first < stop for start, stop in self.stretches(account_sid, dataset))

    def covered_days(self, account_sid: str, dataset: str, zone: tzinfo = UTC) -> set[date]:
        """All days of which `covers_day` is true."""
        days = set()
        for start, stop in self.stretches(account_sid, dataset):
            day = start.astimezone(zone).date()
            while midnight(day, zone) < stop:
                days.add(day)
                day += DAY
        return {day for day in days if self.covers_day(account_sid, dataset, day, zone)}

    def first_day(self, account_sid: str) -> date | None:
        """The UTC day of the first window of messages or usage, read or refused."""
        starts = [read.start for read in self._asked if read.account_sid == account_sid]
        return min(starts).astimezone(UTC).date() if starts else None

    def last_reads(self, account_sid: str, dataset: str) -> dict[date, datetime]:
        """When a window that has some of a UTC day was last read, by day."""
        last: dict[date, datetime] = {}
        for read in self._reads:
            if (read.account_sid, read.dataset) != (account_sid, dataset) or not read.is_whole:
                continue
            day = read.start.astimezone(UTC).date()
            while midnight(day) < read.end:
                last[day] = max(last.get(day, read.at), read.at)
                day += DAY
        return last

    def read_accounts(self) -> set[str]:
        """Accounts whose messages or usage were read."""
        return {read.account_sid for read in self._asked if read.is_whole}

    def refused_accounts(self) -> set[str]:
        """Accounts whose messages or usage were asked for and never read."""
        return {read.account_sid for read in self._asked} - self.read_accounts()

    @cached_property
    def _complete(self) -> dict[str, list[tuple[datetime, datetime]]]:
        """The stretches of messages, each up to where its readings were late enough."""
        return {
            account_sid: [
                (
                    start,
                    max(
                        min(read.end, read.at - _LISTS_LAG)
                        for read in self._asked
                        if (read.account_sid, read.dataset) == (account_sid, MESSAGES)
                        and read.is_whole
                        and start <= read.start <= stop
                    ),
                )
                for start, stop in stretches
            ]
            for account_sid, stretches in self._unbroken[MESSAGES].items()
        }

    @cached_property
    def known_accounts(self) -> dict[str, Account]:
        """The accounts as Twilio listed them, by SID."""
        listed_at = [read.at for read in self._reads if read.dataset == ACCOUNTS and read.is_whole]
        instants = [int(at.timestamp()) for at in listed_at or [self.clock]]
        return {
            account.sid: account
            for account in self._world.accounts
            if any(account.exists(instant) for instant in instants)
        }

    def status_of(self, account: Account) -> str:
        """An account's status when it was last listed: a closed one stays closed."""
        listed_at = [read.at for read in self._reads if read.dataset == ACCOUNTS and read.is_whole]
        return account.status_at(int(max(listed_at, default=self.clock).timestamp()))

    @cached_property
    def _asked(self) -> list[Read]:
        """What was asked for of messages by windows, and of usage."""
        return [
            read
            for read in self._reads
            if read.dataset in (MESSAGES, USAGE) and not read.message_sids
        ]
