"""`make docs`: the data dictionary from the code, and the README's picture from a real run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from flows.settings import SQL_FOLDER
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
    for schema, folder in (("reports", "models/reports"), ("marts", "models/marts"),
                           ("marts", "seeds")):  # fmt: skip
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


def picture() -> str:
    """What `make demo` prints, drawn."""
    command = [Path(sys.executable).with_name("twilio-warehouse"), "demo", "--seed", "1"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=122, file=nowhere)
        console.print(Text(f"$ make demo\n{output}"))
    return console.export_svg(title="twilio-warehouse demo", unique_id="demo")


if __name__ == "__main__":
    DICTIONARY.write_text(data_dictionary(), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
