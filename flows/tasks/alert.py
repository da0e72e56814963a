"""Tell people what they must know: every row of schema `alerts`, once."""

from __future__ import annotations

from datetime import datetime

import duckdb
import filelock

from flows.alerting import Alert, Note, changing_state, read_state
from flows.errors import WarehouseError
from flows.notifying import compose, deliver, find_targets, names_of
from flows.orchestration import task
from flows.settings import Settings
from flows.warehouse import open_published

_WORDS = {"raised": "Alert", "worse": "Alert, worse", "over": "Alert over"}


@task(name="alert")
def alert(settings: Settings, now: datetime) -> list[str]:
    """Send what is new about the alerts of the published warehouse, and what still waits.

    Args:
        settings: where to send, and when not to.
        now: the clock of the run, with its time zone.

    Returns what is new and what could not be sent, in sentences. It never fails a run.
    """
    targets = find_targets(settings)
    try:
        with changing_state(settings) as state:
            notes = state.renew(open_alerts(settings), now, names_of(targets))
            problems = deliver(state, settings, targets, now)
    except (OSError, filelock.Timeout, duckdb.Error, WarehouseError) as error:
        return [f"Alerts could not be looked after, the next run does: {error}"]
    return [f"{_WORDS[note.news]}: {note.message}" for note in notes] + problems


def preview(settings: Settings, now: datetime) -> tuple[str, str] | None:
    """Title and text that `alert` would send now, quiet hours aside; None: nothing to say.

    Nothing is sent and nothing is noted.

    Raises:
        WarehouseError: nothing has been published yet.
    """
    state = read_state(settings)
    waiting: list[Note] = list(state.outbox)
    # Also without a place to send to it can be seen what would be sent.
    notes = state.renew(open_alerts(settings), now, names_of(find_targets(settings)))
    unsent = [*waiting, *(note for note in notes if note not in waiting)]
    return compose(unsent, settings.language) if any(n.news != "over" for n in unsent) else None


def open_alerts(settings: Settings) -> list[Alert]:
    """The alerts of the published warehouse; none, if an earlier version published it.

    Raises:
        WarehouseError: nothing has been published yet.
    """
    with open_published(settings) as connection:
        (has_alerts,) = connection.execute(
            "select count(*) from duckdb_tables() "
            "where schema_name = 'marts' and table_name = 'alert_messages'"
        ).fetchall()[0]
        if not has_alerts:
            return []
        rows = connection.execute(
            f"select alert, account_sid, subject, badness, message_{settings.language} "
            "from marts.alert_messages order by all"
        ).fetchall()
    return [Alert(*row) for row in rows]
