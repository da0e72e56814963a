"""What a world is made of; everything else follows from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

DAY = 86_400  # seconds
MICRO = 1_000_000  # money is kept in millionths
_SHARES = ("slow_prices", "redactions", "deletions", "novelties", "revised_usage")
_ROLES = ("new_account", "suspended_account", "closed_account")


def default_until() -> datetime:
    """06:00 UTC of the present day."""
    return datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0)


def identifier(seed: int, name: object) -> str:
    """32 hexadecimal digits, always the same of a seed and a name."""
    return hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class WorldConfig:
    """What a world is made of. What is 0 or false does not happen in it.

    Attributes:
        messages: messages created from the first day to `until`.
        days: whole UTC days before the day of `until`.
        accounts: the main account and its sub-accounts, together.
        seed: another seed, another world.
        until: the world's present, UTC; it also has a day of future, so that its clock can move.
        slow_prices: share of the prices that come a day to seven days after sending; the others
            come within a day, a few never.
        redactions: share of the messages whose body becomes empty within a month of their end,
            without a trace in date_updated.
        deletions: share of the messages that vanish within a month of their end.
        lag_minutes: for so long at most three of ten new messages are missing from lists.
        novelties: share of the messages with a status, channel, error code or field nobody knows,
            from the second third of the days on; usage gets such a category then.
        revised_usage: share of a day's usage that is booked, or corrected, later, at the latest
            three days after the day's end.
        new_account: the last sub-account appears in the middle of the days.
        suspended_account: the last but one is suspended in the last third of the days.
        closed_account: the last but two is closed in the middle of the days.
    """

    messages: int = 20_000
    days: int = 35
    accounts: int = 3
    seed: int = 1
    until: datetime = field(default_factory=default_until)
    slow_prices: float = 0.0
    redactions: float = 0.0
    deletions: float = 0.0
    lag_minutes: float = 0.0
    novelties: float = 0.0
    revised_usage: float = 0.0
    new_account: bool = False
    suspended_account: bool = False
    closed_account: bool = False

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, from 0 to 1, not {getattr(self, name)}")
        roles = sum(getattr(self, name) for name in _ROLES)
        if self.accounts < 1 + roles:
            raise ValueError(f"{self.accounts} accounts are too few: a main one and {roles} more")

    @classmethod
    def lively(cls, **changes: Any) -> WorldConfig:
        """A world in which everything happens, save what `changes` says otherwise."""
        everything: dict[str, Any] = {
            "accounts": 5, "slow_prices": 0.02, "redactions": 0.01, "deletions": 0.01,
            "lag_minutes": 20.0, "novelties": 0.005, "revised_usage": 0.05,
            **dict.fromkeys(_ROLES, True),
        }  # fmt: skip
        return cls(**{**everything, **changes})

    @property
    def start(self) -> datetime:
        """Midnight UTC of the first day."""
        return self.until.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(
            days=self.days
        )

    @property
    def novelties_from(self) -> int:
        """When values nobody knows begin to appear, epoch seconds."""
        return int(self.start.timestamp()) + self.days * DAY // 3

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {**asdict(self), "until": self.until.isoformat()}

    def with_json(self, values: Any) -> WorldConfig:
        """The same with some fields as decoded JSON says.

        Raises:
            ValueError: a field is unknown or its value of another kind.
        """
        if not isinstance(values, Mapping):
            raise ValueError("a world is a JSON object")
        unknown = values.keys() - {one.name for one in fields(self)}
        if unknown:
            raise ValueError(f"a world has no {', '.join(sorted(unknown))}")
        changes = dict(values)
        try:
            if "until" in changes:
                changes["until"] = as_utc(datetime.fromisoformat(changes["until"]))
            return replace(self, **changes)
        except TypeError as error:
            raise ValueError(str(error)) from error


def as_utc(instant: datetime) -> datetime:
    """The instant in UTC, which it is in already if it says nothing."""
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
