"""People are told once, again when it gets worse, and by night only what cannot wait."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from flows.alerting import kinds, read_state
from flows.cli import app
from flows.errors import ExtractionFailedError, ModelError, WrongUseError
from flows.failing import tell_failure, tell_success
from flows.notifying import send_test
from flows.orchestration import flow
from flows.settings import Settings, read_settings
from flows.tasks.alert import alert, preview
from tests.flows.sink import Sink, a_sink

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OUTAGE = ("delivery_rate", "AC1", "sms", 2.0)


@pytest.fixture
def settings_for(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Settings]:
    """Settings of a data root whose alerts go to the sink; they are in the environment too."""

    def settings_for(**changes: str) -> Settings:
        given = {"alert_urls": sink.url, "data_root": str(tmp_path), **changes}
        for name, value in given.items():
            monkeypatch.setenv(f"WAREHOUSE_{name.upper()}", value)
        return read_settings()

    return settings_for


def publish(settings: Settings, *alerts: tuple[str, str, str, float]) -> None:
    """A published warehouse with these alerts: kind, account, subject, how bad."""
    settings.warehouse.unlink(missing_ok=True)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(
            "create schema marts; create table marts.alert_messages (alert varchar, "
            "account_sid varchar, subject varchar, badness double, message_en varchar, "
            "message_es varchar)"
        )
        for kind, account, subject, badness in alerts:
            connection.execute(
                "insert into marts.alert_messages values (?, ?, ?, ?, ?, ?)",
                [kind, account, subject, badness, f"{kind} of {account}.", f"{kind} de {account}."],
            )
        connection.execute(
            "create schema alerts; create table alerts.open_alerts as select alert, account_sid, "
            "subject, 0.0 as observed, 0.0 as expected, timestamp '2026-11-10 12:00' as since, "
            "message_en as message from marts.alert_messages"
        )


def test_an_alert_is_sent_once_for_as_long_as_it_lasts(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for()
    publish(settings, OUTAGE)
    assert alert(settings, NOON) == ["Alert: delivery_rate of AC1."]
    (text,) = sink.take()
    assert text.startswith("twilio-warehouse: Messages do not arrive\ndelivery_rate of AC1.\n→ ")
    for days in (1, 2):
        assert alert(settings, NOON + days * DAY) == []
    assert sink.take() == []


def test_its_end_is_noted_and_a_new_beginning_is_sent_again(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for()
    publish(settings, OUTAGE)
    alert(settings, NOON)
    publish(settings)
    assert alert(settings, NOON + DAY) == ["Alert over: delivery_rate of AC1."]
    assert len(sink.take()) == 1
    publish(settings, OUTAGE)
    alert(settings, NOON + 2 * DAY)
    (text,) = sink.take()
    assert "Over: delivery_rate of AC1." in text  # told when there is something to tell


@pytest.mark.parametrize(
    ("badness", "sent"), [(2.0, 0), (1.0, 0), (2.99, 0), (3.0, 1)], ids=lambda value: str(value)
)
def test_it_is_sent_again_only_when_it_is_half_as_bad_again(
    settings_for: Callable[..., Settings], sink: Sink, badness: float, sent: int
) -> None:
    settings = settings_for()
    publish(settings, OUTAGE)
    alert(settings, NOON)
    sink.take()
    publish(settings, (*OUTAGE[:3], badness))
    alert(settings, NOON + DAY)
    texts = sink.take()
    assert len(texts) == sent
    assert all("Worse: delivery_rate" in text for text in texts)
    alert(settings, NOON + 2 * DAY)
    assert sink.take() == []


def test_what_comes_and_goes_by_itself_rests(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for()
    forecast = ("budget_forecast", "all", "2026-11", 1.1)
    for days in range(6):
        publish(settings, *([forecast] if days % 2 == 0 else []))
        alert(settings, NOON + days * DAY)
    assert len(sink.take()) == 1
    publish(settings, (*forecast[:3], 1.5))
    alert(settings, NOON + 7 * DAY)
    assert len(sink.take()) == 1


def test_several_alerts_are_one_message(settings_for: Callable[..., Settings], sink: Sink) -> None:
    settings = settings_for(language="es")
    publish(settings, OUTAGE, ("silent_day", "AC2", "messages", 20.0))
    alert(settings, NOON)
    (text,) = sink.take()
    assert text.startswith("twilio-warehouse: 2 avisos\n")
    assert "delivery_rate de AC1." in text
    assert "silent_day de AC2." in text


def test_quiet_hours_hold_what_is_not_urgent_until_they_end(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for(quiet_hours="22-07", timezone="Europe/Madrid")
    at_four = datetime(2026, 11, 10, 3, tzinfo=UTC)
    publish(settings, OUTAGE, ("account_denied", "AC2", "access", 1.0))
    alert(settings, at_four)
    (text,) = sink.take()
    assert "account_denied" in text
    assert "delivery_rate" not in text
    alert(settings, at_four + 2 * HOUR)
    assert sink.take() == []
    publish(settings, ("account_denied", "AC2", "access", 1.0))
    alert(settings, at_four + 4 * HOUR)
    (text,) = sink.take()
    assert "delivery_rate of AC1. (It is over by now.)" in text


def test_where_every_run_is_in_quiet_hours_the_next_one_sends(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for(quiet_hours="22-07")
    publish(settings, OUTAGE)
    alert(settings, datetime(2026, 11, 10, 4, tzinfo=UTC))
    assert sink.take() == []
    alert(settings, datetime(2026, 11, 11, 4, tzinfo=UTC))
    assert len(sink.take()) == 1


def test_a_place_that_cannot_be_reached_is_tried_again_and_the_others_are_not(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    with a_sink() as broken:
        settings = settings_for(alert_urls=f"{sink.url}, {broken.url}")
        broken.is_up = False
        publish(settings, OUTAGE)
        _, problem = alert(settings, NOON)
        assert problem.startswith("1 alert(s) could not be sent to json 2: ")
        assert "s3cret" not in problem
        broken.is_up = True
        assert alert(settings, NOON + HOUR) == []
        assert len(broken.take()) == 1
        assert len(sink.take()) == 1
        broken.is_up = False
        publish(settings, OUTAGE, ("rejects", "AC1", "messages", 1.0))
        alert(settings, NOON + 2 * HOUR)
        (dropped,) = alert(settings, NOON + 8 * DAY)[1:]
        assert dropped == "An alert could not be sent for a week and was dropped: rejects of AC1."


def test_without_a_place_to_send_to_the_run_says_it(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for(alert_urls="")
    publish(settings, OUTAGE)
    assert alert(settings, NOON) == ["Alert: delivery_rate of AC1."]
    assert alert(settings, NOON + DAY) == []


def test_a_lost_or_spoilt_state_costs_one_repetition(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for()
    publish(settings, OUTAGE)
    alert(settings, NOON)
    (settings.root / "alerts.json").write_text('{"told": [')
    for hours in (1, 2):
        alert(settings, NOON + hours * HOUR)
    assert len(sink.take()) == 2


def test_nothing_written_or_sent_names_a_secret(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for()
    sink.is_up = False
    publish(settings, OUTAGE)
    said = alert(settings, NOON)
    kept = (settings.root / "alerts.json").read_text()
    assert "json 1" in kept
    assert not [text for text in (kept, *said) if "s3cret" in text or "127.0.0.1" in text]


def test_a_preview_shows_what_would_be_sent_and_sends_nothing(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for()
    publish(settings, OUTAGE)
    shown = preview(settings, NOON)
    assert shown == preview(settings, NOON)
    assert shown is not None
    assert sink.take() == []
    alert(settings, NOON)
    assert sink.take() == ["\n".join(shown)]
    assert preview(settings, NOON) is None


def test_every_place_can_be_tried(settings_for: Callable[..., Settings], sink: Sink) -> None:
    settings = settings_for(alert_urls=f"{sink.url}, nonsense://here")
    (good, reason), (bad, complaint) = send_test(settings)
    assert (good, reason) == ("json 1", None)
    assert (bad, complaint) == (
        "nonsense 2", "its URL in WAREHOUSE_ALERT_URLS is none that apprise understands",
    )  # fmt: skip
    assert len(sink.take()) == 1


def test_a_warehouse_of_an_earlier_version_has_no_alerts(
    settings_for: Callable[..., Settings],
) -> None:
    settings = settings_for()
    duckdb.connect(str(settings.warehouse)).close()
    assert alert(settings, NOON) == []


@pytest.mark.parametrize("hours", ["22", "22-24", "night", "22 - 07"])
def test_wrong_quiet_hours_are_explained(settings_for: Callable[..., Settings], hours: str) -> None:
    with pytest.raises(WrongUseError, match=r"WAREHOUSE_QUIET_HOURS: .*22-07"):
        settings_for(quiet_hours=hours)


def test_a_failed_flow_is_told_once_and_again_when_it_goes_on(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings_for()
    sent = []
    for _ in range(8):
        assert tell_failure("daily", ModelError("The models did not pass.\nmore")) == []
        sent.append(len(sink.take()))
    assert sent == [1, 1, 0, 1, 0, 0, 0, 1]
    assert tell_success("daily") == []
    tell_failure("daily", ModelError("The models did not pass."))
    (text,) = sink.take()
    assert "The flow daily failed (The models did not pass); in a row: 1." in text


def test_a_failure_of_any_other_kind_is_told_by_its_name_only(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings_for()
    tell_failure("rebuild", KeyError("body of a message to +34600000001"))
    (text,) = sink.take()
    assert "The flow rebuild failed (KeyError); in a row: 1." in text
    tell_failure("daily", ModelError("to +34 600 000 001 no"))
    (text,) = sink.take()
    assert "(to … no)" in text


def test_a_run_that_cannot_read_a_refused_account_is_told_once_by_its_alert(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for()
    publish(settings, ("account_denied", "AC2", "access", 1.0))
    alert(settings, NOON)
    tell_failure("daily", ExtractionFailedError("1 window(s)"))
    assert len(sink.take()) == 1
    publish(settings)
    alert(settings, NOON + DAY)
    tell_failure("daily", ExtractionFailedError("1 window(s)"))
    assert len(sink.take()) == 1


def test_a_failure_that_cannot_be_told_says_so_and_raises_nothing(
    settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "a file").write_text("")
    settings_for(data_root=str(tmp_path / "a file"))
    (problem,) = tell_failure("daily", ModelError("what really happened"))
    assert problem.startswith("The failure could not be told: ")


def test_how_a_flow_ends_is_told_by_itself(
    settings_for: Callable[..., Settings], sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for()
    errors: list[Exception] = [ModelError("The models did not pass."), KeyError("a text")]

    @flow(name="trial")
    def trial() -> str:
        if errors:
            raise errors.pop(0)
        return "good"

    with pytest.raises(ModelError, match="did not pass"):
        trial()
    sink.is_up = False
    with pytest.raises(KeyError):
        trial()
    assert "1 alert(s) could not be sent to json 1: " in capsys.readouterr().err
    sink.is_up = True
    assert trial() == "good"
    assert read_state(settings).failures == {}
    assert read_state(settings).told == []
    assert stat.S_IMODE((settings.root / "alerts.json").stat().st_mode) == 0o600
    assert len(sink.take()) == 1


def command(*arguments: str) -> str:
    """What the command prints; its exit code must be 0."""
    result = CliRunner().invoke(app, ["alerts", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_shows_alerts_and_what_would_be_sent_of_them(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings = settings_for()
    publish(settings, OUTAGE)
    assert command() == "2026-11-10 12:00  delivery_rate  delivery_rate of AC1.\n"
    (row,) = json.loads(command("--json"))
    assert list(row) == [
        "alert", "account_sid", "subject", "observed", "expected", "since", "message"
    ]  # fmt: skip
    assert "Messages do not arrive\n\ndelivery_rate of AC1.\n→ " in command("--dry-run")
    assert sink.take() == []
    assert command("--test") == "ok   json 1\n"
    assert len(sink.take()) == 1
    alert(settings, NOON)
    assert command("--dry-run") == "Nothing would be sent.\n"
    publish(settings)
    assert command() == "Nothing: all is as usual.\n"


def test_the_command_says_where_a_word_did_not_arrive(
    settings_for: Callable[..., Settings], sink: Sink
) -> None:
    settings_for()
    sink.is_up = False
    result = CliRunner().invoke(app, ["alerts", "--test"])
    assert (result.exit_code, result.output[:13]) == (1, "FAIL json 1: ")
    settings_for(alert_urls="")
    with pytest.raises(WrongUseError, match="WAREHOUSE_ALERT_URLS"):
        command("--test")
    with pytest.raises(WrongUseError, match="Choose one"):
        command("--test", "--dry-run")


def test_the_runbook_has_a_section_for_every_alert() -> None:
    runbook = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
    sections = {
        line.removeprefix("### ").strip()
        for line in runbook.read_text(encoding="utf-8").splitlines()
        if line.startswith("### ")
    }
    assert set(kinds()) <= sections


def test_every_alert_is_told_in_both_languages() -> None:
    for kind in kinds().values():
        for text in ("title", "message", "advice"):
            english, spanish = (kind.texts[f"{text}_{language}"] for language in ("en", "es"))
            assert english
            assert spanish
            assert english != spanish
            assert fillings(english) == fillings(spanish)


def fillings(text: str) -> set[str]:
    """The names in braces."""
    return set(re.findall(r"\{\w+\}", text))
