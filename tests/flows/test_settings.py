"""Settings: read once, from the environment or .env, wrong ones refused in a sentence."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from flows.errors import WrongUseError
from flows.settings import Settings, read_settings, variable_of

PROJECT = Path(__file__).resolve().parents[2]
SID = "AC" + "0" * 31 + "1"


def test_env_example_lists_every_setting_with_its_description_and_default() -> None:
    text = (PROJECT / ".env.example").read_text()
    listed = dict(re.findall(r"^# (.+)\n([A-Z_]+)=.*$", text, re.MULTILINE))
    listed = {name: line for line, name in listed.items()}
    assert listed == {variable_of(n): f.description for n, f in Settings.model_fields.items()}
    values = dict(re.findall(r"^([A-Z_]+)=(.+)$", text, re.MULTILINE))
    by_variable = {variable_of(name): name for name in Settings.model_fields}
    for name, value in values.items():
        given = read_settings(**{by_variable[name]: value})
        assert getattr(given, by_variable[name]) == getattr(read_settings(), by_variable[name])


def test_a_dotenv_file_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("WAREHOUSE_TIMEZONE=Europe/Madrid\nWAREHOUSE_LANGUAGE=es\n")
    monkeypatch.setenv("WAREHOUSE_TIMEZONE", "America/Mexico_City")
    settings = read_settings()
    assert (settings.timezone, settings.language) == ("America/Mexico_City", "es")


def test_blank_values_count_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_MONTHLY_BUDGET", "")
    assert read_settings().monthly_budget is None


def test_waiting_times_are_written_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_LOCK_WAIT", "90s")
    assert read_settings().lock_wait == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WAREHOUSE_TIMEZONE", "Mexico", "America/Mexico_City"),
        ("WAREHOUSE_INITIAL_DAYS", "400", "399"),
        ("WAREHOUSE_LANGUAGE", "fr", "'en' or 'es'"),
        ("WAREHOUSE_PHONE_NUMBERS", "masked", "WAREHOUSE_PHONE_KEY"),
        ("TWILIO_ACCOUNT_SID", "123", "32 hexadecimal digits"),
        ("TWILIO_API_BASE_URL", "api.twilio.com", "TWILIO_API_BASE_URL"),
    ],
)
def test_a_wrong_value_is_named_and_explained(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(WrongUseError) as caught:
        read_settings()
    assert said in str(caught.value)
    assert name in str(caught.value) or "PHONE" in name


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "very-secret")
    monkeypatch.setenv("WAREHOUSE_CONCURRENCY", "many")
    with pytest.raises(WrongUseError) as caught:
        read_settings()
    assert "very-secret" not in str(caught.value)
    assert "very-secret" not in repr(read_settings(concurrency=1))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "TWILIO_ACCOUNT_SID"),
        ({"account_sid": SID}, "TWILIO_AUTH_TOKEN"),
        ({"account_sid": SID, "api_key": "SK1"}, "TWILIO_API_SECRET"),
    ],
)
def test_missing_credentials_say_what_to_set(given: dict[str, str], said: str) -> None:
    with pytest.raises(WrongUseError, match=said):
        read_settings(**given).require_credentials()
