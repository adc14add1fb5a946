from datetime import UTC, datetime, timedelta

import strawberry

from graph.context import Context


@strawberry.type(description="What whoever asks may spend, in points: a row costs one, a candle a tenth.")
class RateLimit:
    limit: float = strawberry.field(description="Points that may be spent at once.")
    remaining: float = strawberry.field(description="Points that are left.")
    per_minute: float = strawberry.field(description="Points that come back in a minute.")
    reset_at: datetime = strawberry.field(description="When all are back, if none are spent.")


async def look(context: Context) -> RateLimit | None:
    level = await context.meter.current_level(context.caller)
    if level is None:
        return None
    return RateLimit(
        limit=level.capacity,
        remaining=round(level.remaining, 1),
        per_minute=level.capacity,
        reset_at=datetime.now(UTC) + timedelta(seconds=level.full_in),
    )
