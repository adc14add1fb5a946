"""The RateLimit type: the points of the caller."""

from datetime import UTC, datetime, timedelta

import strawberry

from graph.context import Context


@strawberry.type(
    description="Rate limit of the caller, in points. A row costs 1 point, a candle 0.1. Points are refilled "
    "continuously."
)
class RateLimit:
    limit: float = strawberry.field(description="Points that can be available at most.")
    remaining: float = strawberry.field(description="Points that are available now.")
    per_minute: float = strawberry.field(description="Points that are refilled per minute.")
    reset_at: datetime = strawberry.field(
        description="Time at which the limit is available in full, if no points are spent until then."
    )


async def current_rate_limit(context: Context) -> RateLimit | None:
    """The rate limit of the caller; None if it has none."""
    level = await context.meter.current_level(context.caller)
    if level is None:
        return None
    return RateLimit(
        limit=level.capacity,
        remaining=round(level.remaining, 1),
        per_minute=level.capacity,
        reset_at=datetime.now(UTC) + timedelta(seconds=level.full_in),
    )
