"""`make docs`: dictionary and definitions from the code, the README's picture from a real run."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from flows.settings import SQL_FOLDER
from flows.texts import LANGUAGES, Texts
from transforms.tables import TABLES

HERE = Path(__file__).resolve().parent
DICTIONARY = HERE / "data_dictionary.md"
PICTURE = HERE / "demo.svg"


def data_dictionary() -> str:
    """Every published table and column, with its meaning."""
    lines = [
        "# Data dictionary",
        "",
        "Made by `make docs` from `transforms/tables.py` and the models' YAML; do not edit. The",
        "same texts are comments inside `warehouse.duckdb` (`duckdb_columns()`).",
        "",
        "Instants are UTC; money is decimal(18,6) with its currency beside it.",
    ]
    for schema, folder in (("reports", "models/reports"), ("alerts", "models/alerts"),
                           ("marts", "models/marts"), ("marts", "seeds")):  # fmt: skip
        for path in sorted((SQL_FOLDER / folder).glob("*.yml")):
            content = yaml.safe_load(path.read_text())
            for entry in (content.get("models") or []) + (content.get("seeds") or []):
                name = (entry.get("config") or {}).get("alias", entry["name"])
                lines += _relation(f"{schema}.{name}", entry["description"])
                types = (entry.get("config") or {}).get("column_types", {})
                lines += _columns(
                    (c["name"], c.get("data_type") or types.get(c["name"], ""), c["description"])
                    for c in entry["columns"]
                )
    for table in TABLES.values():
        key = f" Key: {', '.join(table.key)}." if table.key else ""
        lines += _relation(f"lake.{table.name}", table.row + key)
        lines += _columns(
            (field.name, str(field.type), table.meaning(field.name)) for field in table.schema
        )
    return "\n".join(lines) + "\n"


def _relation(name: str, description: str) -> list[str]:
    return ["", f"## {name}", "", description, "", "| column | type | meaning |", "|---|---|---|"]


def _columns(columns: Any) -> list[str]:
    return [
        f"| {name} | {kind} | {' '.join(meaning.split()).replace('|', '/')} |"
        for name, kind, meaning in columns
    ]


def definitions(language: str) -> str:
    """What figures, states, costs and error codes mean, for a manager."""
    texts = Texts(language)

    def say(key: str) -> str:
        return texts.say(f"definitions.{key}")

    def told(row: dict[str, str], column: str) -> str:
        return row[f"{column}_{language}"]

    def yes(row: dict[str, str], column: str) -> str:
        return say("yes" if row[column] == "true" else "no")

    def table(*heads: str) -> list[str]:
        return ["", f"| {' | '.join(map(say, heads))} |", "|---" * len(heads) + "|"]

    lines = [f"# {say('title')}", "", say("note")]
    lines += ["", f"## {say('settled_title')}", "", say("settled")]
    lines += ["", f"## {say('kpis_title')}", "", say("sample_note")]
    lines += table("figure", "meaning", "goal", "sample")
    lines += [
        f"| {told(row, 'title')} | {told(row, 'description')} "
        f"| {_goal(row, say('budget'))} | {row['minimum_sample']} |"
        for row in _seed("kpis")
    ]
    lines += ["", f"## {say('statuses_title')}"]
    lines += table("status", "meaning", "attempted", "delivered", "failed", "final")
    lines += [
        f"| `{row['status']}` | {told(row, 'meaning')} | {yes(row, 'is_attempted')} "
        f"| {yes(row, 'is_delivered')} | {yes(row, 'is_failed')} | {yes(row, 'is_final')} |"
        for row in _seed("message_statuses")
    ]
    lines += ["", f"## {say('categories_title')}", "", say("categories_note")]
    lines += table("category", "twilio_name", "in_total")
    lines += [
        f"| {told(row, 'title')} | `{row['category']}` | {yes(row, 'is_in_cover')} |"
        for row in _seed("usage_categories")
    ]
    lines += ["", f"## {say('errors_title')}"]
    lines += table("code", "meaning", "cause", "remedy")
    lines += [
        f"| {_code(row['error_code'])} | {told(row, 'title')} | {told(row, 'cause')} "
        f"| {told(row, 'remedy')} |"
        for row in _seed("error_codes")
    ]
    return "\n".join(lines) + "\n"


def _goal(row: dict[str, str], budget: str) -> str:
    goal = budget if row["is_budget"] == "true" else row["goal"]
    return f"{row['comparison']} {goal}" if goal else ""


def _seed(name: str) -> list[dict[str, str]]:
    with (SQL_FOLDER / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _code(code: str) -> str:
    if int(code) <= 0:
        return "–"
    return f"[{code}](https://www.twilio.com/docs/api/errors/{code})"


def picture() -> str:
    """What `make demo` prints, drawn."""
    command = [Path(sys.executable).with_name("twilio-warehouse"), "demo", "--seed", "1"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=122, file=nowhere)
        console.print(Text(f"$ make demo\n{output}"))
    return console.export_svg(title="twilio-warehouse demo", unique_id="demo")


if __name__ == "__main__":
    for language in LANGUAGES:
        (HERE / f"definitions.{language}.md").write_text(definitions(language), encoding="utf-8")
    DICTIONARY.write_text(data_dictionary(), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
