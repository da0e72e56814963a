"""The world: accounts and messages, each message with the whole timeline of its life.

Everything follows from `WorldConfig`; the world can be looked at as of any instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from simulator.accounts import Account, found_accounts
from simulator.config import DAY, MICRO, WorldConfig, default_until, identifier
from simulator.later import add_later_events
from simulator.message import Message, MessageState
from simulator.traffic import draw_messages

__all__ = [
    "DAY", "MICRO", "Account", "Message", "MessageState", "World", "WorldConfig", "default_until",
]  # fmt: skip

_ERROR_TEXTS = {
    21610: "Attempt to send to unsubscribed recipient",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30007: "Message filtered",
    63016: "Outside the allowed window",
}


class World:
    """Accounts and messages of a configuration."""

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.accounts = found_accounts(config)
        self.messages = draw_messages(config, self.accounts)
        add_later_events(config, self.messages)

    @property
    def main(self) -> Account:
        """The main account."""
        return self.accounts[0]

    def messages_as_of(self, now: datetime) -> Iterator[tuple[Message, MessageState]]:
        """Every message lists show at an instant, oldest first, as they show it."""
        clock = int(now.timestamp())
        for message in self.messages:
            if message.created > clock:
                break
            if message.is_listed(clock):
                yield message, message.state_at(clock)

    @property
    def api_key(self) -> tuple[str, str]:
        """An API key of the main account: identifier and secret."""
        return (
            "SK" + identifier(self.config.seed, "key"),
            identifier(self.config.seed, "secret"),
        )

    def error_text(self, code: int | None) -> str | None:
        """Twilio's text of an error code."""
        return None if code is None else _ERROR_TEXTS.get(code, "Message not delivered")
