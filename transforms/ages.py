"""When what may still change is read again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Ages:
    """When an open message is read again, and when no more.

    Attributes:
        sent: ages of messages with date_sent; the last is the age from which they count as
            settled, whatever their status and price.
        scheduled: the further ages of messages that are still scheduled. Twilio sends up to 35
            days ahead (twilio.com/docs/messaging/features/message-scheduling).
    """

    sent: tuple[timedelta, ...] = (timedelta(days=1), timedelta(days=3), timedelta(days=7))
    scheduled: tuple[timedelta, ...] = (timedelta(days=14), timedelta(days=21), timedelta(days=36))

    @property
    def oldest(self) -> timedelta:
        """The age beyond which nothing is open."""
        return max(self.sent + self.scheduled)
