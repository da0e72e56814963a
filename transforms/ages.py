"""At which ages a message is read again, and from which on Twilio has forgotten it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from transforms.windows import midnight

# Twilio keeps messages for 400 days and refuses a window that begins before
# (code 20004; support article 223181008).
RETENTION = timedelta(days=399)
# A scheduled message is sent up to 35 days after it was created
# (twilio.com/docs/messaging/features/message-scheduling), and may be late.
LONGEST_WAIT = timedelta(days=40)


@dataclass(frozen=True)
class Ages:
    """When an open message is read again, and when no more.

    Attributes:
        sent: ages of messages with date_sent; the last is the age from which they count as
            settled, whatever their status and price.
        scheduled: the further ages of messages that are still scheduled.
    """

    sent: tuple[timedelta, ...] = (timedelta(days=1), timedelta(days=3), timedelta(days=7))
    scheduled: tuple[timedelta, ...] = (timedelta(days=14), timedelta(days=21), timedelta(days=36))

    @property
    def oldest(self) -> timedelta:
        """The age beyond which nothing is open."""
        return max(self.sent + self.scheduled)


def earliest_readable(now: datetime) -> datetime:
    """The first instant that Twilio still answers for."""
    return midnight((now - RETENTION).date())
