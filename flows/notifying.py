"""Send what people must know: to apprise's URLs and Prefect's notification blocks."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Protocol

from flows.alerting import Note, State, kinds
from flows.settings import Settings
from flows.texts import Texts

_APPLICATION = "twilio-warehouse"


class Target(Protocol):
    """A place that takes messages."""

    name: str

    def send(self, title: str, body: str) -> str | None:
        """Send; why it failed, None when it did not."""


class _AppriseTarget:
    def __init__(self, url: str, position: int) -> None:
        # The position tells two of a kind apart; the address itself is a secret.
        self.name = f"{url.partition(':')[0].lower()} {position}"
        self._url = url

    def send(self, title: str, body: str) -> str | None:
        import apprise

        with _words_of("apprise") as words:
            sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id=_APPLICATION))
            if not sender.add(self._url):
                return "its URL in WAREHOUSE_ALERT_URLS is none that apprise understands"
            is_sent = sender.notify(title=title, body=body, notify_type=apprise.NotifyType.WARNING)
        return None if is_sent else without_numbers(words[-1] if words else "no answer")


class _BlockTarget:
    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, title: str, body: str) -> str | None:
        try:
            from prefect.blocks.core import Block

            block: Any = Block.load(self.name)
            with block.raise_on_failure():
                block.notify(body=body, subject=title)
        # Whatever goes wrong in a place we do not know must not end the run.
        except Exception as error:  # noqa: BLE001
            return f"Prefect's block gave {type(error).__name__}"
        return None


def find_targets(settings: Settings) -> list[Target]:
    """Everywhere that alerts are to be sent."""
    urls = re.split(r"[\s,]+(?=[a-zA-Z][a-zA-Z0-9+.-]*://)", settings.alert_urls.get_secret_value())
    blocks = [name for name in re.split(r"[\s,]+", settings.alert_blocks) if name]
    return [
        *(_AppriseTarget(url.strip(" ,"), i) for i, url in enumerate(filter(None, urls), 1)),
        *(_BlockTarget(name) for name in blocks),
    ]


def names_of(targets: Sequence[Target]) -> list[str]:
    """By which names the state knows them."""
    return [target.name for target in targets]


def deliver(
    state: State, settings: Settings, targets: Sequence[Target], now: datetime
) -> list[str]:
    """Send to each target, as one message, what waits for it; what could not be sent, in sentences.

    In quiet hours only what is urgent goes out. The rest waits for a run after them, but not longer
    than they last: where every run is in quiet hours, the next one sends it.
    """
    problems = []
    for target in targets:
        due = _due(state.outbox, target.name, settings, now)
        if not due:
            continue
        reason = target.send(*compose(due, settings.language))
        if reason is None:
            for note in due:
                note.pending.remove(target.name)
        else:
            problems.append(
                f"{len(due)} alert(s) could not be sent to {target.name}: {reason}. The next run "
                "tries again."
            )
    problems += [
        f"An alert could not be sent for a week and was dropped: {note.message}"
        for note in state.drop_undeliverable(now, names_of(targets))
    ]
    return problems


def compose(notes: Sequence[Note], language: str) -> tuple[str, str]:
    """Title and text of one message that says all of them."""
    texts = Texts(language)
    news = [note for note in notes if note.news != "over"]
    if len(news) == 1:
        subject = kinds()[news[0].kind].title(language)
    else:
        subject = texts.say("alerts.count", count=len(news))
    parts = []
    for note in [*news, *(note for note in notes if note.news == "over")]:
        line = texts.say(f"alerts.{note.news}", message=note.message)
        if note.is_over:
            line = texts.say("alerts.is_over", message=line)
        if note.news != "over" and not note.is_over:
            line += f"\n→ {kinds()[note.kind].advice(language)}"
        parts.append(line)
    return f"{_APPLICATION}: {subject}", "\n\n".join(parts)


def send_test(settings: Settings) -> list[tuple[str, str | None]]:
    """Send a word to every target; of each its name, and why it failed (None: it did not)."""
    text = Texts(settings.language).say("alerts.test")
    return [(target.name, target.send(_APPLICATION, text)) for target in find_targets(settings)]


def without_numbers(text: str) -> str:
    """A text for people whose long numbers, telephone numbers among them, are left out."""
    return re.sub(r"\+?\d[\d ().-]{5,}\d", "…", text)


def _due(outbox: Sequence[Note], target: str, settings: Settings, now: datetime) -> list[Note]:
    waiting = [note for note in outbox if target in note.pending]
    due = [
        note
        for note in waiting
        if note.news != "over" and (note.is_urgent or not _is_held(note, settings, now))
    ]
    # Nobody is called for what is over; it is said when there is something to say.
    return [*due, *(note for note in waiting if note.news == "over")] if due else []


def _is_held(note: Note, settings: Settings, now: datetime) -> bool:
    quiet = settings.quiet
    if quiet is None:
        return False
    begin, end = quiet
    hour = now.astimezone(settings.zone).hour
    is_quiet = begin <= hour < end if begin < end else hour >= begin or hour < end
    return is_quiet and now - note.noted_at < timedelta(hours=(end - begin) % 24)


@contextmanager
def _words_of(logger_name: str) -> Iterator[list[str]]:
    """What a logger warns of meanwhile, in place of showing it."""
    words: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            words.append(record.getMessage())

    logger, listener = logging.getLogger(logger_name), Listener(logging.WARNING)
    was_propagating, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield words
    finally:
        logger.removeHandler(listener)
        logger.propagate = was_propagating
