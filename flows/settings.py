"""The only reader of the environment: secrets, choices and every path."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from flows.errors import WrongUseError
from flows.secret_blocks import read_secret
from transforms.ages import Ages

SQL_FOLDER = Path(__file__).resolve().parents[1] / "sql"
"""The dbt project."""


def _known_timezone(name: str) -> str:
    # What `localtime` means, the machine decides, and not every program knows it.
    if name not in available_timezones() or name == "localtime":
        raise ValueError(f"{name!r} is no IANA time zone; write for example America/Mexico_City")
    return name


def _duration(value: Any) -> Any:
    match = re.fullmatch(r"(\d+)\s*([smhd])", value.strip()) if isinstance(value, str) else None
    if match is None:
        return value
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def _ages(text: str) -> str:
    try:
        days = [int(part) for part in text.split(",")]
    except ValueError:
        days = []
    if not days or days != sorted(set(days)) or days[0] < 1:
        raise ValueError("write ages in days, ascending, with commas, for example 1,3,7")
    return text


def _ages_until_settled(text: str) -> str:
    if int(_ages(text).split(",")[-1]) < 7:
        raise ValueError("the last age must be 7 or more: only then a figure counts as settled")
    return text


def _hours(text: str) -> str:
    match = re.fullmatch(r"(\d{1,2})-(\d{1,2})", text)
    if text and (match is None or not {int(match[1]), int(match[2])} <= set(range(24))):
        raise ValueError("write the hours of the local clock from and until, for example 22-07")
    return text


def _account_sid(sid: str) -> str:
    if sid and not re.fullmatch(r"AC[0-9a-fA-F]{32}", sid):
        raise ValueError("an account SID is AC and 32 hexadecimal digits, as the Console shows it")
    return sid


class _SecretBlocks(PydanticBaseSettingsSource):
    """Secrets that neither environment nor `.env` has, from Prefect's Secret blocks: block
    `twilio-auth-token` for TWILIO_AUTH_TOKEN, and so on.

    A server is asked only for what is missing: the key's secret if there is a key, the token if
    there is none, the key of phone numbers if they are masked or hashed.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        block = variable_of(field_name).lower().replace("_", "-")
        return read_secret(block), str(field.validation_alias or field_name), False

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name in self._missing():
            value, key, _ = self.get_field_value(Settings.model_fields[name], name)
            if value is not None:
                found[key] = value
        return found

    def _missing(self) -> list[str]:
        missing = []
        if self._given("account_sid"):
            has_key = self._given("api_key")
            if not (self._given("auth_token") or (has_key and self._given("api_secret"))):
                missing.append("api_secret" if has_key else "auth_token")
        is_keyed = self._given("phone_numbers") in ("masked", "hashed")
        if is_keyed and not self._given("phone_key"):
            missing.append("phone_key")
        return missing

    def _given(self, name: str) -> Any:
        for key in (name, variable_of(name), variable_of(name).lower()):
            value = self.current_state.get(key)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value:
                return value
        return None


class Settings(BaseSettings):
    """Every setting, from the environment or a `.env` file; the environment wins. Secrets that
    neither has may be in Prefect's Secret blocks.

    Blank values count as not given. `.env.example` lists each setting with one line.
    """

    model_config = SettingsConfigDict(
        env_prefix="WAREHOUSE_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    account_sid: Annotated[str, AfterValidator(_account_sid)] = Field(
        "", validation_alias="TWILIO_ACCOUNT_SID", description="The main account."
    )
    auth_token: SecretStr = Field(
        SecretStr(""),
        validation_alias="TWILIO_AUTH_TOKEN",
        description="Its token: reaches the main account and its sub-accounts.",
    )
    api_key: str = Field(
        "",
        validation_alias="TWILIO_API_KEY",
        description="Instead of the token (least privilege): an API key; reaches one account.",
    )
    api_secret: SecretStr = Field(
        SecretStr(""), validation_alias="TWILIO_API_SECRET", description="The API key's secret."
    )
    region: str | None = Field(
        None, validation_alias="TWILIO_REGION", description="Twilio region, for example ie1."
    )
    edge: str | None = Field(
        None, validation_alias="TWILIO_EDGE", description="Twilio edge, for example dublin."
    )
    api_base_url: str = Field(
        "",
        validation_alias="TWILIO_API_BASE_URL",
        pattern=r"^(https?://[^/]+/?)?$",
        description="Another server in place of api.twilio.com: scheme and host.",
    )
    data_root: Path = Field(
        Path("data"), description="Root of the lake, the build, the reports and the warehouse."
    )
    timezone: Annotated[str, AfterValidator(_known_timezone)] = Field(
        "UTC", description="IANA time zone of report days and hours."
    )
    subaccounts: str = Field(
        "all", description="Sub-accounts to read: all, none, or their SIDs with commas."
    )
    store_bodies: bool = Field(
        False, description="Whether message bodies are kept; they are dropped unless true."
    )
    phone_numbers: Literal["plain", "masked", "hashed"] = Field(
        "plain", description="How phone numbers are kept: plain, masked or hashed."
    )
    phone_key: SecretStr = Field(
        SecretStr(""), description="The secret key of masked and hashed numbers."
    )
    monthly_budget: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Spending budget a month, in the account's currency."
    )
    language: Literal["en", "es"] = Field(
        "en", description="Language of what people read: en or es."
    )
    initial_days: int = Field(
        30, ge=0, le=399, description="How many days back the first run reads (0 to 399)."
    )
    concurrency: int = Field(
        8, ge=1, le=1000, description="Requests in flight per account, at most."
    )
    unsent_pages: int = Field(
        200,
        ge=0,
        description="Pages read at most to find messages without date_sent (0: none).",
    )
    refresh_days: Annotated[str, AfterValidator(_ages_until_settled)] = Field(
        "1,3,7",
        description="Ages in days at which open messages are read again; the last one gives up.",
    )
    scheduled_days: Annotated[str, AfterValidator(_ages)] = Field(
        "14,21,36", description="Further ages in days for messages that are still scheduled."
    )
    deep_days: int = Field(
        35, ge=1, le=399, description="How many days back a deep refresh reads (1 to 399)."
    )
    lock_wait: Annotated[timedelta, BeforeValidator(_duration)] = Field(
        timedelta(hours=2), description="How long a run waits for another that is writing (2h)."
    )

    alert_urls: SecretStr = Field(
        SecretStr(""), description="Where alerts are sent: URLs of apprise, with commas."
    )
    alert_blocks: str = Field(
        "", description="Prefect notification blocks that get alerts: type/name, with commas."
    )
    quiet_hours: Annotated[str, AfterValidator(_hours)] = Field(
        "", description="Local hours in which only urgent alerts are sent, for example 22-07."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where settings come from, the first that has one wins."""
        return init_settings, env_settings, dotenv_settings, _SecretBlocks(settings_cls)

    @model_validator(mode="after")
    def _keyed_numbers_have_a_key(self) -> Settings:
        if self.phone_numbers != "plain" and not self.phone_key.get_secret_value():
            raise ValueError(
                f"WAREHOUSE_PHONE_NUMBERS={self.phone_numbers} needs a secret WAREHOUSE_PHONE_KEY"
            )
        return self

    @field_validator("data_root")
    @classmethod
    def _root_is_no_pattern(cls, path: Path) -> Path:
        try:
            absolute = str(path.expanduser().absolute())
        except RuntimeError as error:
            raise ValueError(f"{path}: {error}") from None
        if "?" in absolute:
            raise ValueError(f"{absolute}: a ? in a path is a pattern to DuckDB; choose another")
        return path

    @property
    def ages(self) -> Ages:
        """When open messages are read again."""
        return Ages(_days(self.refresh_days), _days(self.scheduled_days))

    @property
    def quiet(self) -> tuple[int, int] | None:
        """The hours of the report time zone from and until which it is quiet; None: never."""
        if not self.quiet_hours:
            return None
        begin, end = self.quiet_hours.split("-")
        return int(begin), int(end)

    @property
    def zone(self) -> ZoneInfo:
        """The report time zone."""
        return ZoneInfo(self.timezone)

    @property
    def root(self) -> Path:
        """The data root, absolute."""
        return self.data_root.expanduser().absolute()

    @property
    def lake(self) -> Path:
        """The Parquet lake: the record of everything."""
        return self.root / "lake"

    @property
    def build(self) -> Path:
        """What the pipeline works in; private to it, may be deleted between runs."""
        return self.root / "build"

    @property
    def build_file(self) -> Path:
        """The DuckDB file being built. Its name equals the published one's: a view in it may
        carry the file's name."""
        return self.build / "warehouse.duckdb"

    @property
    def unpublished_file(self) -> Path:
        """The DuckDB file of what models keep for themselves and is too large to be copied when
        the build file is published. The two are of one build; neither is of use alone."""
        return self.build / "unpublished.duckdb"

    @property
    def versions(self) -> Path:
        """Immutable versions of lake files, which the published file's views read."""
        return self.root / "versions"

    @property
    def warehouse(self) -> Path:
        """The published DuckDB file."""
        return self.root / "warehouse.duckdb"

    @property
    def metrics(self) -> Path:
        """Figures of the last runs for a monitoring system, in Prometheus' text format."""
        return self.root / "metrics.prom"

    @property
    def reports(self) -> Path:
        """Where the reports are written."""
        return self.root / "reports"

    def require_credentials(self) -> None:
        """Raise `WrongUseError` unless Twilio can be asked with these settings."""
        if not self.account_sid:
            raise WrongUseError(
                "TWILIO_ACCOUNT_SID is not set. Put it into the environment or a .env file "
                "(see .env.example)."
            )
        has_key = bool(self.api_key and self.api_secret.get_secret_value())
        if not (self.auth_token.get_secret_value() or has_key):
            raise WrongUseError(
                "No Twilio credentials. Set TWILIO_AUTH_TOKEN, or TWILIO_API_KEY and "
                "TWILIO_API_SECRET (see .env.example)."
            )


def _days(text: str) -> tuple[timedelta, ...]:
    return tuple(timedelta(days=int(part)) for part in text.split(","))


def read_settings(**changes: Any) -> Settings:
    """The settings in force, with some of them given here.

    Raises:
        WrongUseError: a setting has a value it cannot have; the message names each.
    """
    try:
        return Settings(**changes)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_input=False, include_url=False):
            name = str(problem["loc"][0]) if problem["loc"] else ""
            said = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{variable_of(name)}: {said}" if name else said)
        raise WrongUseError("Wrong settings. " + "; ".join(lines)) from None


def variable_of(name: str) -> str:
    """The environment variable of a setting, by its name or already the variable's."""
    field = Settings.model_fields.get(name)
    if field is None:
        return name
    return str(field.validation_alias or f"WAREHOUSE_{name.upper()}")
