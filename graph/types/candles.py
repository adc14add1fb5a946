from datetime import datetime
from enum import Enum

import strawberry

from cache.tiers import Tier
from graph.fields import cached


@strawberry.enum(description="Candle length, in UTC.")
class Interval(Enum):
    M1 = strawberry.enum_value("M1", description="One minute.")
    M5 = strawberry.enum_value("M5", description="Five minutes.")
    M15 = strawberry.enum_value("M15", description="A quarter of an hour.")
    M30 = strawberry.enum_value("M30", description="Half an hour.")
    H1 = strawberry.enum_value("H1", description="One hour.")
    H4 = strawberry.enum_value("H4", description="Four hours, from midnight.")
    D1 = strawberry.enum_value("D1", description="One day, from midnight.")
    W1 = strawberry.enum_value("W1", description="One week, from Monday midnight.")


@strawberry.type(
    description="Open, high, low, close and volume of one interval of time.", directives=cached(Tier.SHORT)
)
class Candle:
    open_time: datetime = strawberry.field(description="When the interval begins: inclusive.")
    close_time: datetime = strawberry.field(description="When the interval ends: exclusive.")
    open: float = strawberry.field(description="The first price.")
    high: float = strawberry.field(description="The highest price.")
    low: float = strawberry.field(description="The lowest price.")
    close: float = strawberry.field(description="The last price.")
    volume: float = strawberry.field(description="What was traded, in units of the coin.")
    market_cap: float | None = strawberry.field(
        description="Price times supply at the close, where the source tells it."
    )
    source: str = strawberry.field(
        description='Where the candle comes from; "mixed" if it was built from several sources.'
    )
    is_closed: bool = strawberry.field(
        description="Whether the interval is over, so that the candle is final.", directives=cached(Tier.SHORT)
    )


@strawberry.type(
    description="Candles as charts take them: a list for each field, oldest first. The lists are of one length, and "
    "the numbers at one place of them are one candle.",
    directives=cached(Tier.SHORT),
)
class CandleSeries:
    # Not Int, which ends with the 32 bits of January 2038.
    open_time: list[float] = strawberry.field(
        description="When each interval begins, in seconds since 1970 in UTC: whole numbers."
    )
    open: list[float] = strawberry.field(description="The first prices.")
    high: list[float] = strawberry.field(description="The highest prices.")
    low: list[float] = strawberry.field(description="The lowest prices.")
    close: list[float] = strawberry.field(description="The last prices.")
    volume: list[float] = strawberry.field(description="What was traded, in units of the coin.")
