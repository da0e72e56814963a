"""The life of alerts: raised once, told again when worse, over when they end.

Who was told of what is kept in `alerts.json` below the data root, beside the lake and not in it: it
says something of people, nothing of Twilio. Lost, it costs one repetition of what still lasts.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import filelock

from flows.settings import SQL_FOLDER, Settings

RUN_FAILED = "run_failed"
_SEED = SQL_FOLDER / "seeds" / "alerts.csv"
_UNDELIVERABLE_AFTER = timedelta(days=7)
_LOCK_WAIT = 60  # seconds

Key = tuple[str, str, str]
News = Literal["raised", "worse", "over"]


@dataclass(frozen=True)
class Kind:
    """One kind of alert, from the seed `alerts`."""

    name: str
    repeat_at: float | None
    rest: timedelta
    is_urgent: bool
    texts: dict[str, str]

    def title(self, language: str) -> str:
        """Its name for people."""
        return self.texts[f"title_{language}"]

    def advice(self, language: str) -> str:
        """What to do."""
        return self.texts[f"advice_{language}"]


@dataclass(frozen=True)
class Alert:
    """One alert as it is now. `badness` says how many times worse it is than tolerated."""

    kind: str
    account_sid: str
    subject: str
    badness: float
    message: str

    @property
    def key(self) -> Key:
        """What makes it the same alert tomorrow."""
        return self.kind, self.account_sid, self.subject


@dataclass
class Told:
    """An alert that people know of, as bad as they were told; `rests_until` once it is over."""

    kind: str
    account_sid: str
    subject: str
    badness: float
    message: str
    raised_at: datetime
    rests_until: datetime | None = None

    @property
    def key(self) -> Key:
        """What makes it the same alert tomorrow."""
        return self.kind, self.account_sid, self.subject


@dataclass
class Note:
    """What is to be sent, and to which targets it has not been yet."""

    news: News
    kind: str
    account_sid: str
    subject: str
    message: str
    is_urgent: bool
    noted_at: datetime
    pending: list[str] = field(default_factory=list)
    is_over: bool = False

    @property
    def key(self) -> Key:
        """The alert it is about."""
        return self.kind, self.account_sid, self.subject


@dataclass
class State:
    """Who knows what: alerts that last, alerts that rest, what is still to be sent, and how often
    each flow failed in a row."""

    told: list[Told] = field(default_factory=list)
    resting: list[Told] = field(default_factory=list)
    outbox: list[Note] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)

    def renew(self, current: Iterable[Alert], now: datetime, targets: Sequence[str]) -> list[Note]:
        """Take note of the alerts there are now; what is new about them is also in the outbox."""
        alerts = {alert.key: alert for alert in current}
        lasting = [told for told in self.told if told.kind != RUN_FAILED]
        notes = [note for alert in alerts.values() if (note := self._notice(alert, now, targets))]
        notes += [self._end(told, now, targets) for told in lasting if told.key not in alerts]
        self.resting = [told for told in self.resting if (told.rests_until or now) > now]
        return notes

    def count_failure(self, flow: str) -> int:
        """Count a failed run of a flow; how many there are in a row."""
        self.failures[flow] = self.failures.get(flow, 0) + 1
        return self.failures[flow]

    def failed(self, alert: Alert, now: datetime, targets: Sequence[str]) -> Note | None:
        """Take note of a failed run; what people are told of it."""
        return self._notice(alert, now, targets)

    def succeeded(self, flow: str, now: datetime, targets: Sequence[str]) -> None:
        """Take note that a flow ran well."""
        self.failures.pop(flow, None)
        for told in [t for t in self.told if t.kind == RUN_FAILED and t.subject == flow]:
            self._end(told, now, targets)

    def drop_undeliverable(self, now: datetime, targets: Sequence[str]) -> list[Note]:
        """Forget what has waited too long, or for targets that are no more; the former."""
        for note in self.outbox:
            note.pending = [name for name in note.pending if name in targets]
        self.outbox = [note for note in self.outbox if note.pending]
        dropped = [n for n in self.outbox if now - n.noted_at > _UNDELIVERABLE_AFTER]
        self.outbox = [note for note in self.outbox if note not in dropped]
        return [note for note in dropped if note.news != "over"]

    def _notice(self, alert: Alert, now: datetime, targets: Sequence[str]) -> Note | None:
        kind = kinds()[alert.kind]
        known = next((told for told in self.told if told.key == alert.key), None)
        if known is None:
            rested = next((told for told in self.resting if told.key == alert.key), None)
            if rested is None:
                return self._tell("raised", alert, now, targets)
            self.resting.remove(rested)
            rested.rests_until = None
            self.told.append(rested)
            known = rested
        if kind.repeat_at is None or alert.badness < kind.repeat_at * known.badness:
            return None
        self.told.remove(known)
        return self._tell("worse", alert, now, targets, raised_at=known.raised_at)

    def _tell(
        self, news: News, alert: Alert, now: datetime, targets: Sequence[str],
        raised_at: datetime | None = None,
    ) -> Note:  # fmt: skip
        self.told.append(Told(*alert.key, alert.badness, alert.message, raised_at=raised_at or now))
        return self._note(news, alert.key, alert.message, now, targets)

    def _end(self, told: Told, now: datetime, targets: Sequence[str]) -> Note:
        self.told.remove(told)
        rest = kinds()[told.kind].rest
        if rest:
            told.rests_until = now + rest
            self.resting.append(told)
        waiting = [note for note in self.outbox if note.key == told.key]
        for note in waiting:
            note.is_over = True
        # Who has not heard that it began hears all of it at once.
        unaware = {name for note in waiting for name in note.pending}
        return self._note(
            "over", told.key, told.message, now, [t for t in targets if t not in unaware]
        )

    def _note(
        self, news: News, key: Key, message: str, now: datetime, targets: Sequence[str]
    ) -> Note:
        note = Note(news, *key, message, kinds()[key[0]].is_urgent, now, list(targets))
        if targets:
            self.outbox.append(note)
        return note


@cache
def kinds() -> dict[str, Kind]:
    """Every kind of alert, by name."""
    with _SEED.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        row["alert"]: Kind(
            name=row["alert"],
            repeat_at=float(row["repeat_at"]) if row["repeat_at"] else None,
            rest=timedelta(days=int(row["rest_days"])),
            is_urgent=row["is_urgent"] == "true",
            texts={name: text for name, text in row.items() if name.endswith(("_en", "_es"))},
        )
        for row in rows
    }


def read_state(settings: Settings) -> State:
    """What is known of who was told; nothing, when the file is missing or cannot be read."""
    try:
        decoded = json.loads(_path(settings).read_text(encoding="utf-8"))
        return State(
            told=[_from_json(Told, entry) for entry in decoded["told"]],
            resting=[_from_json(Told, entry) for entry in decoded["resting"]],
            outbox=[_from_json(Note, entry) for entry in decoded["outbox"]],
            failures=dict(decoded["failures"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return State()


@contextmanager
def changing_state(settings: Settings) -> Iterator[State]:
    """The state, kept as it is when the block ends; one process at a time.

    Raises:
        filelock.Timeout: another process has held it for a minute.
    """
    settings.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = _path(settings)
    # For the owner's eyes, whosever process this is: a worker tells of the run that crashed in it.
    with filelock.FileLock(path.with_suffix(".lock"), timeout=_LOCK_WAIT, mode=0o600):
        state = read_state(settings)
        yield state
        # A kind that a newer version knows no more has nothing to say.
        state.told = [told for told in state.told if told.kind in kinds()]
        state.resting = [told for told in state.resting if told.kind in kinds()]
        state.outbox = [note for note in state.outbox if note.kind in kinds()]
        temporary = path.with_suffix(".writing")
        temporary.touch(mode=0o600)
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(asdict(state), file, indent=2, default=str, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def _path(settings: Settings) -> Path:
    return settings.root / "alerts.json"


def _from_json(made: type[Any], entry: dict[str, Any]) -> Any:
    times = {
        name: datetime.fromisoformat(value)
        for name, value in entry.items()
        if name in ("raised_at", "rests_until", "noted_at") and value is not None
    }
    return made(**{**entry, **times})
