"""What managers may write into seeds, which is data to the truth as it is to the pipeline."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

SEEDS = Path(__file__).resolve().parents[2] / "sql" / "seeds"
_UNKNOWN = -1


@dataclass(frozen=True)
class Goal:
    """What a KPI is compared with, and in which periods."""

    goal: float | None
    comparison: str
    periods: tuple[str, ...]
    minimum_sample: int
    is_budget: bool


@dataclass(frozen=True)
class ErrorText:
    """What an error code means to people; flags are None when nobody knows."""

    title: str
    cause: str
    remedy: str
    is_blocked: bool | None
    is_retryable: bool | None


def read_goals(seeds: Path) -> dict[str, Goal]:
    """Goals by KPI."""
    return {
        row["kpi"]: Goal(
            goal=float(Decimal(row["goal"])) if row["goal"] else None,
            comparison=row["comparison"],
            periods=tuple(row["goal_periods"].split()),
            minimum_sample=int(row["minimum_sample"]),
            is_budget=row["is_budget"] == "true",
        )
        for row in _rows(seeds / "kpis.csv")
    }


class ErrorTexts:
    """The catalogue of error codes in one language."""

    def __init__(self, seeds: Path, language: str) -> None:
        self._texts = {
            int(row["error_code"]): ErrorText(
                title=row[f"title_{language}"],
                cause=row[f"cause_{language}"],
                remedy=row[f"remedy_{language}"],
                is_blocked=_flag(row["is_blocked"]),
                is_retryable=_flag(row["is_retryable"]),
            )
            for row in _rows(seeds / "error_codes.csv")
        }

    def of(self, code: int) -> ErrorText:
        """A code's texts; those of the unknown code when the catalogue lacks it."""
        return self._texts.get(code, self._texts[_UNKNOWN])

    def is_blocked(self, code: int | None) -> bool:
        """Whether the code says that somebody did not let the message pass."""
        return code is not None and self.of(code).is_blocked is True


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _flag(cell: str) -> bool | None:
    return {"true": True, "false": False, "": None}[cell]
