"""Candles: the intervals, one candle, and the series of a chart."""

from datetime import datetime
from enum import Enum

import strawberry

from cache.tiers import Tier
from graph.fields import cached


@strawberry.enum(description="Length of a candle. Candles open at multiples of it, in UTC.")
class Interval(Enum):
    M1 = strawberry.enum_value("M1", description="One minute.")
    M5 = strawberry.enum_value("M5", description="Five minutes.")
    M15 = strawberry.enum_value("M15", description="15 minutes.")
    M30 = strawberry.enum_value("M30", description="30 minutes.")
    H1 = strawberry.enum_value("H1", description="One hour.")
    H4 = strawberry.enum_value("H4", description="Four hours, counted from midnight.")
    D1 = strawberry.enum_value("D1", description="One day, from midnight to midnight.")
    W1 = strawberry.enum_value("W1", description="One week, from midnight at the start of Monday.")


@strawberry.type(
    description="Open, high, low, close and volume of one interval. Prices are in the quote currency of the source, "
    "such as USD.",
    directives=cached(Tier.SHORT),
)
class Candle:
    open_time: datetime = strawberry.field(description="Start of the interval, inclusive.")
    close_time: datetime = strawberry.field(description="End of the interval, exclusive.")
    open: float = strawberry.field(description="First price of the interval.")
    high: float = strawberry.field(description="Highest price of the interval.")
    low: float = strawberry.field(description="Lowest price of the interval.")
    close: float = strawberry.field(description="Last price of the interval.")
    volume: float = strawberry.field(description="Traded volume, in units of the coin.")
    market_cap: float | None = strawberry.field(
        description="Price times supply at the close; null if the source does not give it."
    )
    source: str = strawberry.field(
        description='Source of the data, such as "demo" or "api"; "mixed" if the candle combines several sources.'
    )
    is_closed: bool = strawberry.field(
        description="Whether the interval is over. A candle that is not closed still changes.",
        directives=cached(Tier.SHORT),
    )


@strawberry.type(
    description="Candles in columns, for charts: one list for each field, oldest candle first. All lists have the same "
    "length; the values at one index belong to one candle.",
    directives=cached(Tier.SHORT),
)
class CandleSeries:
    # Not Int: it has 32 bits, which overflow in January 2038.
    open_time: list[float] = strawberry.field(
        description="Start of each interval, in whole seconds since 1970-01-01T00:00:00Z."
    )
    open: list[float] = strawberry.field(description="First price of each interval.")
    high: list[float] = strawberry.field(description="Highest price of each interval.")
    low: list[float] = strawberry.field(description="Lowest price of each interval.")
    close: list[float] = strawberry.field(description="Last price of each interval.")
    volume: list[float] = strawberry.field(description="Traded volume of each interval, in units of the coin.")
