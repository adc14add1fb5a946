"""What callers may spend, in points (graph/compiler/cost.py), and what they have spent."""

from cache.buckets import Buckets, Level, Rate
from graph.identity.callers import Caller

# What it costs to be refused for the document alone: it had to be read.
REFUSED_POINTS = 10.0
# And to be answered from what is kept.
KEPT_POINTS = 1.0


class RateLimited(Exception):
    """The caller has spent what it may, for now."""

    def __init__(self, points: float, level: Level) -> None:
        super().__init__(_said(points, level))
        self.points = points
        self.level = level


class Meter:
    """Charges callers before their operations run, and gives back what these did not need."""

    def __init__(self, buckets: Buckets, *, signed_in: float | None = None, anonymous: float | None = None) -> None:
        """Points a minute: for each key or user, and for each address; None: as many as they like."""
        self._buckets = buckets
        self._signed_in = _rate(signed_in)
        self._anonymous = _rate(anonymous)

    def limits(self, caller: Caller) -> bool:
        return self._rate_of(caller) is not None

    async def charge(self, caller: Caller, points: float) -> Level | None:
        """What is left; None where nothing is counted. Raises RateLimited."""
        rate = self._rate_of(caller)
        if rate is None:
            return None
        level = await self._buckets.take(_bucket_of(caller), points, rate)
        if not level.allowed:
            raise RateLimited(points, level)
        return level

    def give_back(self, caller: Caller, points: float) -> None:
        rate = self._rate_of(caller)
        if rate is not None and points > 0:
            self._buckets.give_back(_bucket_of(caller), points, rate)

    async def look(self, caller: Caller) -> Level | None:
        """What is left; None where nothing is counted."""
        rate = self._rate_of(caller)
        return None if rate is None else await self._buckets.level(_bucket_of(caller), rate)

    def _rate_of(self, caller: Caller) -> Rate | None:
        if not caller.client:
            # The server itself, which asks before others do.
            return None
        return self._anonymous if caller.user_id is None else self._signed_in


def _rate(per_minute: float | None) -> Rate | None:
    return None if per_minute is None else Rate(per_minute, per_minute / 60)


def _bucket_of(caller: Caller) -> str:
    return f"points:{caller.client}"


def _said(points: float, level: Level) -> str:
    if level.retry_after is None:
        return f"This costs {points:,.0f} points, and {level.capacity:,.0f} is all that you can have: ask for less."
    return (
        f"This costs {points:,.0f} points, and {level.remaining:,.0f} are left:"
        f" try again in {level.retry_after:,.1f} seconds."
    )
