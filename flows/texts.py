"""Texts that people read, in their language, with numbers and times as it writes them."""

from __future__ import annotations

import csv
from datetime import date, datetime, tzinfo
from decimal import Decimal
from functools import cache

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent

from flows.settings import SQL_FOLDER

LANGUAGES = ("en", "es")
_SEED = SQL_FOLDER / "seeds" / "texts.csv"


class Texts:
    """The texts of seed `texts` in one language.

    What the seed has no text for, a new report or column, is shown by its own name made readable.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._locale = Locale(language)
        self._texts = _read_seed()[language]

    def say(self, key: str, **values: object) -> str:
        """The text of a key, its braces filled in.

        Raises:
            KeyError: the seed has no such key.
        """
        text = self._texts[key]
        return text.format(**values) if values else text

    def title(self, report: str) -> str:
        """The name of a report."""
        return self._texts.get(f"report.{report}") or _readable(report)

    def about(self, report: str) -> str | None:
        """What a report tells, in a sentence; None if the seed does not say."""
        return self._texts.get(f"report.{report}.about")

    def heading(self, column: str) -> str:
        """The heading of a column."""
        return self._texts.get(f"column.{column}") or _readable(column)

    def value(self, column: str, value: str) -> str:
        """A code (a status, a direction …) as people read it; itself if the seed has no text."""
        if column == "account_sid" and value.startswith("all "):
            # all accounts of one currency, which is its code
            return f"{self._texts['value.account_sid.all']} {value.removeprefix('all ')}"
        return self._texts.get(f"value.{column}.{value}", value)

    def starting(self, *beginnings: str) -> dict[str, str]:
        """All texts whose keys begin so, by key, their braces as they are."""
        return {key: text for key, text in self._texts.items() if key.startswith(beginnings)}

    def longest_value(self, column: str) -> int:
        """Characters of the longest text of a code of a column."""
        prefix = f"value.{column}."
        return max((len(t) for key, t in self._texts.items() if key.startswith(prefix)), default=0)

    def number(self, value: int | float | Decimal, decimals: int = 0) -> str:
        """A number with that many decimals."""
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        return str(format_decimal(value, pattern, locale=self._locale))

    def percent(self, value: float | None) -> str:
        """A rate of 0 to 1 as a percentage with one decimal; a dash if there is none."""
        if value is None:
            return "–"
        return str(format_percent(value, self._texts["format.rate"], locale=self._locale))

    def date(self, value: date) -> str:
        """A day."""
        return str(format_date(value, self._pattern("date"), locale=self._locale))

    def instant(self, value: datetime, zone: tzinfo) -> str:
        """An instant as local time in a time zone, to the minute."""
        return str(
            format_datetime(value.astimezone(zone), self._pattern("datetime"), locale=self._locale)
        )

    def _pattern(self, kind: str) -> str:
        # The seed writes formats as Excel does, with m for month and minute alike.
        day, _, time = self._texts[f"format.{kind}"].partition(" ")
        return " ".join(part for part in (day.replace("m", "M"), time.replace("h", "H")) if part)


@cache
def _read_seed() -> dict[str, dict[str, str]]:
    """For each language, the text of each key."""
    with _SEED.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {language: {row["key"]: row[language] for row in rows} for language in LANGUAGES}


def _readable(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
