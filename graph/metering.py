"""Budgets of callers, in points (graph/compiler/cost.py): charges, refunds and remaining points."""

from cache.buckets import Buckets, Level, Rate
from graph.identity.callers import Caller

# Charged for a request that is rejected for its document, since reading the document takes time.
REJECTED_POINTS = 10.0
# Charged for an answer from the cache.
CACHED_POINTS = 1.0


class RateLimited(Exception):
    """The caller has spent its budget for now. points: the cost of the request. level: the remaining points."""

    def __init__(self, points: float, level: Level) -> None:
        super().__init__(_message(points, level))
        self.points = points
        self.level = level


class Meter:
    """Charges callers before their operations run, and refunds what these did not need."""

    def __init__(self, buckets: Buckets, *, signed_in: float | None = None, anonymous: float | None = None) -> None:
        """Points a minute for each key or user, and for each address; None: no limit."""
        self._buckets = buckets
        self._signed_in = _rate(signed_in)
        self._anonymous = _rate(anonymous)

    def limits(self, caller: Caller) -> bool:
        return self._rate_of(caller) is not None

    async def charge(self, caller: Caller, points: float) -> Level | None:
        """The level after the charge; None if the caller is not limited. Raises RateLimited."""
        rate = self._rate_of(caller)
        if rate is None:
            return None
        level = await self._buckets.take(_bucket_of(caller), points, rate)
        if not level.allowed:
            raise RateLimited(points, level)
        return level

    def refund(self, caller: Caller, points: float) -> None:
        rate = self._rate_of(caller)
        if rate is not None and points > 0:
            self._buckets.give_back(_bucket_of(caller), points, rate)

    async def current_level(self, caller: Caller) -> Level | None:
        """The level now; None if the caller is not limited."""
        rate = self._rate_of(caller)
        return None if rate is None else await self._buckets.level(_bucket_of(caller), rate)

    def _rate_of(self, caller: Caller) -> Rate | None:
        if not caller.client:
            # The server itself, which warms its cache.
            return None
        return self._anonymous if caller.user_id is None else self._signed_in


def _rate(per_minute: float | None) -> Rate | None:
    return None if per_minute is None else Rate(per_minute, per_minute / 60)


def _bucket_of(caller: Caller) -> str:
    return f"points:{caller.client}"


def _message(points: float, level: Level) -> str:
    if level.retry_after is None:
        return f"This costs {points:,.0f} points, more than the limit of {level.capacity:,.0f}: select less."
    return (
        f"This costs {points:,.0f} points, and {level.remaining:,.0f} are left:"
        f" try again in {level.retry_after:,.1f} seconds."
    )
