"""What the documentation says can be checked, is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from docs.generate import DICTIONARY, data_dictionary, definitions
from flows.cli import app
from flows.texts import LANGUAGES

PROJECT = Path(__file__).resolve().parents[1]
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").glob("**/*.md")]


def test_the_data_dictionary_is_up_to_date() -> None:
    assert DICTIONARY.read_text(encoding="utf-8") == data_dictionary(), "run `make docs`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_definitions_are_up_to_date(language: str) -> None:
    page = PROJECT / "docs" / f"definitions.{language}.md"
    assert page.read_text(encoding="utf-8") == definitions(language), "run `make docs`"


def test_every_command_is_in_the_readme() -> None:
    readme = (PROJECT / "README.md").read_text()
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert not [name for name in names if f"`{name}" not in readme]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_make_targets_named_in_pages_exist() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)`", page.read_text()):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: {target}"


def test_no_path_of_somebodys_machine_is_in_the_project() -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split()
    foreign = re.compile("/" + "work/|/" + "home/[a-z]+/|/" + "root/")
    for name in files:
        path = PROJECT / name
        if path.suffix in (".py", ".md", ".sql", ".yml", ".yaml", ".toml", ".csv", ".svg"):
            assert not foreign.search(path.read_text(encoding="utf-8")), name
