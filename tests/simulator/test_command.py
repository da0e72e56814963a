"""The command: what it explains, refuses and serves."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from simulator.__main__ import _config, _parser
from simulator.faults import KINDS, Rule
from simulator.world import WorldConfig

README = Path(__file__).resolve().parents[2] / "simulator" / "README.md"


def test_help_explains_every_field_and_every_fault() -> None:
    text = _parser().format_help()
    for name in (*KINDS, *(field.name for one in (WorldConfig, Rule) for field in fields(one))):
        assert f"  {name}: " in text, name


def test_options_make_a_world() -> None:
    def made(*arguments: str) -> WorldConfig:
        return _config(_parser().parse_args(arguments))

    until = "2026-11-10T06:00:00+00:00"
    plain = made("--until", until)
    assert plain == WorldConfig(until=plain.until)
    assert made("--until", "2026-11-10T07:00:00+01:00") == made("--until", until[:19]) == plain
    assert made("--until", until, "--lively") == WorldConfig.lively(until=plain.until)
    assert made("--lively", "--seed", "7", "--world", '{"deletions": 0.5}', "--until", until) == (
        WorldConfig.lively(seed=7, deletions=0.5, until=plain.until)
    )


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--world", '{"deletion": 0.1}', "no deletion"),
        ("--world", "[]", "JSON object"),
        ("--world", "{", "--world"),
        ("--until", "tomorrow", "tomorrow"),
        ("--accounts", "0", "too few"),
        ("--faults", '[{"kind": "earthquake"}]', "earthquake"),
        ("--faults", "reset", "--faults"),
    ],
)
def test_a_wrong_option_is_refused_with_its_reason(option: str, value: str, why: str) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "simulator", option, value],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert why in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_readme_names_every_module() -> None:
    text = README.read_text(encoding="utf-8")
    hidden = {"__init__", "__main__", "process"}
    for module in {path.stem for path in README.parent.glob("*.py")} - hidden:
        assert f"`{module}`" in text, module
