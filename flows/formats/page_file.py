"""The page: one file with everything in it, that asks nobody for anything.

It works from a disk or a mail, under a policy that runs only the scripts whose hashes it names and
lets nothing out. The chart library is that of package plotly; it and the figures are compressed,
which halves the page. See `page/` for its markup, style and scripts.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import orjson
from jinja2 import Environment, StrictUndefined
from plotly.offline import get_plotlyjs

from flows.formats.page_data import read_page
from flows.texts import Texts

_PARTS = Path(__file__).with_name("page")
_SCRIPTS = ("basics", "choice", "cards", "tables", "charts", "page")
# What the scripts say: headings, codes in words, and the page's own.
_TEXTS = ("page.", "column.", "value.", "sheet.")
_NO_STYLE = ""  # Plotly adds an empty style sheet and fills it by script, which the policy allows
# Plotly brings a style sheet for maps, unless an element of this identifier says it is there.
_MAP_STYLE = re.compile(r'document\.getElementById\("([0-9a-f]{64})"\)')


def write_page(
    connection: duckdb.DuckDBPyConnection, texts: Texts, timezone: str, path: Path
) -> int:
    """Write the page; how many KPIs it shows, over all periods and accounts.

    Args:
        timezone: the report time zone.
        path: a file that is replaced; its folder exists.
    """
    figures = read_page(connection, texts, timezone)
    path.write_bytes(_page(figures, texts).encode())
    return sum(len(rows) for scopes in figures["kpis"].values() for rows in scopes.values())


def _page(figures: Mapping[str, Any], texts: Texts) -> str:
    library = get_plotlyjs()
    style, theme = _part("page.css"), _script("theme")
    script = _script(*_SCRIPTS)
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(_part("index.html")).render(
        language=texts.language,
        say=texts.say,
        policy=_policy(scripts=(theme, script, library), styles=(style, _NO_STYLE)),
        style=style,
        theme_script=theme,
        script=script,
        styles_not_needed=_MAP_STYLE.findall(library),
        texts=_json(texts.starting(*_TEXTS)),
        figures=_packed(orjson.dumps(figures)),
        library=_packed(library.encode()),
    )


def _part(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")


def _script(*names: str) -> str:
    """Scripts as one, with names of its own."""
    parts = "\n".join(_part(f"{name}.js") for name in names)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _policy(scripts: tuple[str, ...], styles: tuple[str, ...]) -> str:
    """Nothing but these scripts and style sheets, and pictures that are in the page.

    Attributes of style are Plotly's: it places texts of its drawings by them.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(_hash(script) for script in scripts)}",
            f"style-src-elem {' '.join(_hash(style) for style in styles)}",
            "style-src-attr 'unsafe-inline'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _packed(content: bytes) -> str:
    # A step below the usual level takes a quarter less time for a hundredth more bytes. No time of
    # writing in it: the same warehouse gives the same file.
    return base64.b64encode(gzip.compress(content, 5, mtime=0)).decode()


def _json(value: Any) -> str:
    """JSON that cannot end the script it stands in."""
    return orjson.dumps(value).decode().replace("<", "\\u003c")
