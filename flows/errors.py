"""What can go wrong for a person: each says what happened, where, and what to do."""


class WarehouseError(Exception):
    """Something failed that its reader can act on; the command ends with exit code 1."""


class WrongUseError(WarehouseError):
    """The command, an option or a setting is wrong; the command ends with exit code 2."""


class TwilioError(WarehouseError):
    """Twilio did not give what was asked for.

    Attributes:
        outcome: the word the ledger keeps: denied, not_found, retention or failed.
        status: the HTTP status, None when there was no answer.
        code: Twilio's error code, None when it gave none.
    """

    def __init__(
        self, message: str, outcome: str = "failed", status: int | None = None,
        code: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.outcome = outcome
        self.status = status
        self.code = code


class ExtractionFailedError(WarehouseError):
    """Some windows could not be read; everything else was, and is kept."""


class ModelError(WarehouseError):
    """A dbt model or test failed; the published warehouse is the last good one."""
