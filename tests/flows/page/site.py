"""The page of a warehouse, written, opened and looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb

from flows.settings import Settings
from flows.tasks.report import report
from flows.texts import Texts
from tests.flows.page.browser import Page

CHARTS = ["delivery", "month", "volume", "hours", "costs"]


def write(settings: Settings, language: str = "en", output: Path | None = None) -> Path:
    """Write the page, and nothing else; where it is."""
    entries = report.fn(settings, output, ["html"], language=language)
    (written,) = [path for entry in entries for path in entry.paths]
    return written


Select = Callable[..., list[tuple[Any, ...]]]
"""Gives the rows of a query and its values."""


@contextmanager
def published(root: Path) -> Iterator[Select]:
    """The warehouse below a data root, opened once: that takes longer than most queries."""
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield lambda query, *values: connection.execute(query, list(values)).fetchall()


def shown(value: float | Decimal | None, unit: str, language: str = "en", decimals: int = 2) -> str:
    """A figure as the page has to write it, by another library than the browser's."""
    texts = Texts(language)
    if value is None:
        return "–"
    places = {"share": 3, "money": decimals, "seconds": 1}.get(unit, 0)
    exact = Decimal(value)
    value = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    if unit == "share":
        if 0 < exact < 0.001:
            return "<" + texts.percent(0.001)
        return ">" + texts.percent(0.999) if 0.999 < exact < 1 else texts.percent(float(value))
    if unit == "money":
        amount = texts.number(value, decimals)
        return f"${amount}" if language == "en" else f"{amount} US$"
    if unit == "seconds":
        return texts.number(value, 1 if exact < 100 and exact % 1 else 0) + " s"
    return texts.number(value)


def assert_quiet(page: Page, site: Path) -> None:
    """Nothing in the console, and nothing asked for but the file itself."""
    assert page.complaints() == []
    others = [url for url in page.requests() if not url.startswith("data:")]
    assert [url.split("#")[0] for url in others] == [site.as_uri()]


def assert_drawn(page: Page) -> None:
    """Every chart has marks that can be seen, or says that there is nothing."""
    for name in CHARTS:
        marks = page.js(
            f"[...document.querySelectorAll('[data-chart={name}] .plot .plotbg ~ g path, "
            f"[data-chart={name}] .plot .cartesianlayer path, "
            f"[data-chart={name}] .plot .cartesianlayer image')]"
            ".filter((mark) => { const box = mark.getBoundingClientRect();"
            " return box.width > 1 && box.height > 1; }).length"
        )
        empty = page.js(
            f"[...document.querySelectorAll('[data-chart={name}] .empty, #{name} > .empty')]"
            ".some((one) => one.checkVisibility())"
        )
        assert (marks > 0) != empty, f"{name}: {marks} marks, empty: {empty}"


def drawn(page: Page, chart: str) -> list[dict[str, float]]:
    """What each trace of a chart draws: values by day or month, those that are not empty."""
    return page.js(
        f"document.querySelector('[data-chart={chart}] .plot').data.map(({{ x, y }}) =>"
        " Object.fromEntries(x.map((key, index) => [key, y[index]])"
        ".filter(([, value]) => value !== null)))"
    )


def own_tables(*names: str, rows: str = "") -> list[str]:
    """SQL that makes views over the lake tables of the published file, which can be changed."""
    return [
        statement
        for name in names
        for statement in (
            f"create or replace temporary table kept as from lake.{name} {rows}",
            f"drop view if exists lake.{name}",
            f"create or replace table lake.{name} as from kept",
        )
    ]
