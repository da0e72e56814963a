"""How cells look: number formats by kind of value, and the few styles of the workbook."""

from __future__ import annotations

from typing import Any

import xlsxwriter
from xlsxwriter.format import Format

from flows.formats.relations import Kind
from flows.texts import Texts

_COLUMN_WIDTHS: dict[Kind, int] = {
    "boolean": 12,
    "date": 12,
    "datetime": 18,
    "month": 11,
    "rate": 11,
}


# Excel shows a boolean as one whatever its format; LibreOffice knows this format, and shows some
# booleans of a column with empty cells as 0 and 1 without it.
_BOOLEAN = '"TRUE";"TRUE";"FALSE"'
_PROVISIONAL = "#7A4B00"
WIDEST = 60
"""The widest a column gets, in characters; longer texts take several lines."""
LINE_HEIGHT = 15  # points


class Styles:
    """The formats of one workbook; equal ones are made once."""

    def __init__(self, workbook: xlsxwriter.Workbook, texts: Texts) -> None:
        self._workbook = workbook
        self._texts = texts
        self._made: dict[tuple[tuple[str, Any], ...], Format] = {}

    def value(
        self,
        kind: Kind,
        decimals: int = 0,
        currency: str | None = None,
        *,
        is_provisional: bool = False,
        is_indented: bool = False,
    ) -> Format:
        """Of a value; a currency is shown behind the amount, what may change looks so."""
        look: dict[str, Any] = {"valign": "top"}
        if is_provisional:
            look |= {"italic": True, "font_color": _PROVISIONAL}
        if is_indented:
            look["indent"] = 1
        if number_format := self.number_format(kind, decimals, currency):
            look["num_format"] = number_format
        if kind in ("boolean", "code", "date", "datetime", "month"):
            look["align"] = "center" if kind == "boolean" else "left"
        return self._format(**look)

    def number_format(self, kind: Kind, decimals: int = 0, currency: str | None = None) -> str:
        """Excel's format of a kind of value; empty: as Excel shows it unasked."""
        if kind in ("date", "datetime", "month", "rate"):
            return self._texts.say(f"format.{kind}")
        if kind == "boolean":
            return _BOOLEAN
        if kind == "code":
            return "0"
        if kind in ("integer", "number", "money"):
            number = "#,##0" + ("." + "0" * decimals if decimals else "")
            # In brackets Excel knows it as a currency; no more than a code's letters get there.
            is_code = kind == "money" and currency and currency.isascii() and currency.isalpha()
            return f"{number} [${currency}]" if is_code else number
        return ""

    def goal(self, kind: Kind, decimals: int, comparison: str) -> Format:
        """Of a goal: a number with its comparison before it."""
        sign = "".join(character for character in comparison if character in "<>=≤≥")
        return self._format(
            valign="top", align="right", num_format=f'"{sign} "{self.number_format(kind, decimals)}'
        )

    @property
    def text(self) -> Format:
        """Of text."""
        return self._format(valign="top", align="left", indent=1, num_format="@")

    @property
    def long_text(self) -> Format:
        """Of text in several lines."""
        return self._format(valign="top", align="left", indent=1, text_wrap=True, num_format="@")

    @property
    def label(self) -> Format:
        """Of what stands at the left edge and may run over empty cells."""
        return self._format(valign="top", num_format="@")

    def heading(self, kind: Kind = "date") -> Format:
        """Of the heading of a column, above values of a kind."""
        is_number = kind in ("integer", "money", "number", "rate")
        place: dict[str, Any] = {"align": "right" if is_number else "left"}
        if kind == "boolean":
            place["align"] = "center"
        if kind == "text":
            place["indent"] = 1
        return self._format(
            bold=True, text_wrap=True, valign="top", bottom=1, bg_color="#E8EEF4", num_format="@",
            **place,
        )  # fmt: skip

    @property
    def title(self) -> Format:
        """Of the title of a sheet or of a part of it."""
        return self._format(bold=True, font_size=14, num_format="@")

    @property
    def note(self) -> Format:
        """Of a sentence about the data."""
        return self._format(italic=True, font_color=_PROVISIONAL, num_format="@")

    def state(self, is_met: bool | None) -> Format:
        """Of the word that says whether a goal is met; None: it cannot be said."""
        color = {True: "#1B6E3C", False: "#A61B1B", None: "#5A5A5A"}[is_met]
        return self._format(
            bold=is_met is False, font_color=color, valign="top", align="left", indent=1,
            num_format="@",
        )  # fmt: skip

    def _format(self, **look: Any) -> Format:
        key = tuple(sorted(look.items()))
        if key not in self._made:
            self._made[key] = self._workbook.add_format(look)
        return self._made[key]


def width_of(kind: Kind, heading: str, longest: int) -> int:
    """The width of a column in characters.

    Args:
        heading: its heading, which may take two lines.
        longest: characters of its longest text or number.
    """
    words = [len(word) for word in heading.split()]
    # Three characters for the button of the filter.
    for_heading = max([*words, len(heading) // 2 + 1]) + 3
    wanted = _COLUMN_WIDTHS.get(kind, longest + 3)
    return min(max(wanted, for_heading, 8), WIDEST)
