"""The days that the demo data covers, and the chance that it is drawn from."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

DAYS = 90
HOURS = 24 * DAYS


@dataclass(frozen=True)
class Period:
    """Ninety days that end with the last hour that has closed. Hours are counted back from that end."""

    now: datetime

    @classmethod
    def until(cls, now: datetime) -> "Period":
        """Raises ValueError when the time has no offset."""
        if now.tzinfo is None:
            raise ValueError("the demo data needs a time with an offset")
        return cls(now.astimezone(UTC))

    @property
    def end(self) -> datetime:
        return self.now.replace(minute=0, second=0, microsecond=0)

    @property
    def start(self) -> datetime:
        return self.ago(HOURS)

    def ago(self, hours: int) -> datetime:
        return self.end - timedelta(hours=hours)

    def after(self, at: datetime, *, seconds: int) -> datetime:
        """A little later, but not in the future: what is recorded has happened."""
        return min(at + timedelta(seconds=seconds), self.now)


def draws(*about: object) -> Random:
    """Random numbers that are the same on every machine, for ever, for what they are about.

    Drawn anew for each coin and purpose, so that a change to one leaves the others as they were.
    """
    return Random(f"candlegraph demo {about}")  # noqa: S311  (nothing here is a secret)
