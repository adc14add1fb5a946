"""The period that the demo data covers, and its seeded random numbers."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

DAYS = 90
HOURS = 24 * DAYS


@dataclass(frozen=True)
class Period:
    """90 days up to the end of the last full hour. Hours are counted back from that end."""

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
        """So many seconds later, but not in the future: no row is stored before it happens."""
        return min(at + timedelta(seconds=seconds), self.now)


def seeded_random(*purpose: object) -> Random:
    """A random generator whose seed is its purpose: it gives the same numbers on every machine.

    Each coin and purpose has a generator of its own, so that a change to one does not affect the others.
    """
    return Random(f"candlegraph demo {purpose}")  # noqa: S311  (nothing here is a secret)
