"""The monitor's figures on a terminal, in its reader's language and time zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.monitoring import Monitor
from flows.settings import Settings
from flows.showing import PIPE_WIDTH, shortened
from flows.texts import Texts

_OF_ACCOUNTS = ("account_name", "account_sid", "outcome", "message_count")
_OF_ERRORS = ("error_code", "message_count", "title", "remedy")
_OF_MESSAGES = ("message_at", "account_sid", "direction", "channel", "status", "error_code",
                "sender", "recipient", "message_cost")  # fmt: skip


def show_monitor(monitor: Monitor, settings: Settings) -> None:
    """Print it to standard output."""
    screen = _Screen(settings, monitor)
    screen.say(
        "monitor.title",
        since=screen.instant(monitor.since),
        until=screen.instant(monitor.until),
        timezone=settings.timezone,
    )
    screen.table("monitor.accounts", _OF_ACCOUNTS, [vars(entry) for entry in monitor.accounts])
    if not monitor.counts:
        screen.say("monitor.none")
    else:
        screen.table("monitor.delivery", monitor.delivery[0], monitor.delivery)
        screen.table("monitor.counts", monitor.counts[0], monitor.counts)
        if monitor.errors:
            screen.table("monitor.errors", _OF_ERRORS, monitor.errors)
        else:
            screen.say("monitor.no_errors")
    if monitor.last_messages:
        screen.table("monitor.last_messages", _OF_MESSAGES, monitor.last_messages)
    for notice in monitor.notices:
        screen.print(notice)


class _Screen:
    """Prints texts and tables."""

    def __init__(self, settings: Settings, monitor: Monitor) -> None:
        self._texts, self._zone = Texts(settings.language), settings.zone
        self._names = {entry.account_sid: entry.account_name for entry in monitor.accounts}
        found = Console()
        self._console = Console(
            width=None if found.is_terminal else PIPE_WIDTH, highlight=False, markup=False
        )

    def say(self, key: str, **values: object) -> None:
        """Print a text."""
        self.print(self._texts.say(key, **values))

    def print(self, text: str) -> None:
        """Print a sentence, broken into lines where the terminal does."""
        self._console.print(text, soft_wrap=True)

    def instant(self, value: datetime) -> str:
        """An instant in local time."""
        return self._texts.instant(value, self._zone)

    def table(self, key: str, columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """Print rows under their headings; a long text takes several lines, none is cut."""
        table = Table(title=self._texts.say(key), title_justify="left", title_style="bold",
                      show_edge=False)  # fmt: skip
        columns = list(columns)
        for name in columns:
            is_number = name.endswith(("_count", "_rate", "_cost"))
            table.add_column(
                self._texts.heading(name),
                justify="right" if is_number else "left",
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(self._cell(name, row) for name in columns))
        self._console.print(table)

    def _cell(self, name: str, row: Mapping[str, Any]) -> str:
        value = row[name]
        if isinstance(value, datetime):
            return self.instant(value)
        if name == "account_sid" and "account_name" not in row:
            return self._names.get(value) or shortened(value)
        if name in ("sender", "recipient") and value:
            return str(value).rpartition(":")[2]  # its channel has a column of its own
        if name == "channel" and value is None:
            return self._texts.say("monitor.all_channels")
        if value is None:
            return "–" if name.endswith("_rate") else ""
        if name.endswith("_rate"):
            return self._texts.percent(value)
        if name.endswith("_count"):
            return self._texts.number(value)
        if name.endswith("_cost"):
            return f"{self._texts.number(value, 4)} {row.get('currency') or ''}".strip()
        return self._texts.value(name, value) if isinstance(value, str) else str(value)
