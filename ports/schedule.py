"""When a feed is asked next. Pure: no clock, no database."""

from dataclasses import dataclass
from datetime import datetime, timedelta

JITTER = 0.1
"""By so much of itself, at most, a pause is longer than asked for: sites do not all ask in the same second."""
LONGEST_PAUSE = timedelta(hours=1)
"""A feed that fails is asked so often at least; one whose interval is longer, at its interval."""
WISH_AFTER = timedelta(minutes=1)
"""Nobody's wish asks a feed again sooner than this after the last try."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides when a feed is asked next."""

    interval: timedelta
    asked_at: datetime | None = None
    """When it was asked last; None where it never was."""
    failures: int = 0
    """How many of the last tries failed, in a row."""
    wished_at: datetime | None = None
    allowed_at: datetime | None = None
    """Not before this, said the publisher."""
    chance: float = 0.0
    """Of the jitter, from 0 to 1: the same as long as nothing happens, so that a restart changes nothing."""

    def has_wish(self, now: datetime) -> bool:
        """Whether somebody asked for a refresh since the last one began.

        One from the future was made before the clock was set back, and would be granted again and again.
        """
        if self.wished_at is None or self.wished_at > now:
            return False
        return self.asked_at is None or self.wished_at > self.asked_at

    @property
    def pause(self) -> timedelta:
        """From one try to the next: twice as long after each failure but the first."""
        growing = self.interval * (1 << min(max(0, self.failures - 1), 10))
        return max(self.interval, min(growing, LONGEST_PAUSE)) * (1 + JITTER * self.chance)

    def due_at(self, now: datetime) -> datetime:
        """When to ask; not later than ``now`` where it is time."""
        if self.asked_at is None:
            due = now
        elif self.has_wish(now):
            due = self.asked_at + WISH_AFTER
        else:
            due = self.asked_at + self.pause
        return max(due, self.allowed_at) if self.allowed_at else due
