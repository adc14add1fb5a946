"""The Cryptocurrency type, the arguments of its candles, and what these cost."""

from datetime import UTC, datetime
from typing import Annotated, Any

import strawberry

from cache.tiers import Tier
from db.intervals import INTERVALS
from db.queries import candles, predictions, sentiment, signals, trades
from db.queries.listings import Listing
from graph.compiler.cost import Arguments, Weight
from graph.compiler.deferred import derive
from graph.compiler.policy import AgeOverride
from graph.compiler.symbols import ConditionalRows, Row, Rows
from graph.context import Info
from graph.errors import InputError
from graph.fields import Node, TimeRange, cached, checked_span, criteria_of, relation, time_span
from graph.pagination import Order, TimeOrder, connection, is_newest_first
from graph.scalars import parse_time
from graph.types.candles import Candle, CandleSeries, Interval
from graph.types.predictions import Prediction, PredictionFilterArgument
from graph.types.sentiment import Sentiment
from graph.types.signals import Signal, SignalFilterArgument
from graph.types.trades import Trade, TradeFilterArgument


def _uppercase(symbols: list[str]) -> list[str]:
    return [symbol.upper() for symbol in symbols]


IntervalArgument = Annotated[
    Interval | None,
    strawberry.argument(
        description="Length of the candles: baseInterval by default. A shorter one is an error (INTERVAL_TOO_SHORT)."
    ),
]
FromArgument = Annotated[
    datetime | None,
    strawberry.argument(
        name="from", description='Start of the range of open times, inclusive, such as "now-30d"; null: no start.'
    ),
]
ToArgument = Annotated[
    datetime | None, strawberry.argument(description="End of the range of open times, exclusive; null: no end.")
]
LastArgument = Annotated[
    int | None, strawberry.argument(description="Only this many of the newest candles of the range: 1 to 10,000.")
]


def _is_past(to: datetime | None) -> bool:
    return to is not None and to <= datetime.now(UTC)


# Candles of a range in the past rarely change, so they are cached longer.
PAST_RANGE = AgeOverride("to", _is_past, Tier.LONG.seconds)


def _max_candles(arguments: Arguments) -> float:
    """The most candles that these arguments can return.

    The base interval of the coin is not available here: without an interval argument it is the limit of a field.
    """
    last, since, until = (arguments.get(name) for name in ("last", "from", "to"))
    limit = candles.MAX_CANDLES
    if isinstance(last, int):
        return min(max(last, 0), limit)
    if since is None and until is None:
        return candles.DEFAULT_LAST
    length = INTERVALS.get(_interval_name(arguments.get("interval")))
    if length is None or since is None:
        return limit
    try:
        extent = _instant(until) - _instant(since)
    except InputError:
        return limit
    return min(max(extent / length, 0) + 1, limit)


def _smaller_argument(arguments: Arguments, limit: float) -> tuple[str, Any]:
    """The argument and value that return at most this many candles.

    A longer interval if that is enough and last is not set; otherwise a smaller last.
    """
    if arguments.get("last") is None:
        for name in INTERVALS:
            if (
                name != _interval_name(arguments.get("interval"))
                and _max_candles({**arguments, "interval": name}) <= limit
            ):
                return "interval", name
    return "last", int(limit)


def _instant(value: Any) -> datetime:
    """The instant of a time argument; now for null. A literal of the document is a str. Raises InputError."""
    if value is None:
        return datetime.now(UTC)
    return value if isinstance(value, datetime) else parse_time(value)


def _interval_name(interval: Any) -> str:
    return interval.name if isinstance(interval, Interval) else str(interval)


CANDLES = Weight(size=_max_candles, per_row=0.1, suggest=_smaller_argument)


@strawberry.input(description="Conditions on cryptocurrencies. A coin must meet all that are set.")
class CryptocurrencyFilter:
    symbols: list[str] | None = strawberry.field(
        default=None, description='Only coins with these symbols, such as ["BTC", "ETH"]; case does not matter.'
    )
    is_active: bool | None = strawberry.field(
        default=None, description="true: only active coins; false: only retired ones."
    )
    search: str | None = strawberry.field(
        default=None, description="Only coins whose symbol or name contains this text; case does not matter."
    )

    def criteria(self) -> dict[str, Any]:
        symbols = self.symbols and derive(_uppercase, self.symbols)
        return {"symbols": symbols, "is_active": self.is_active, "search": self.search}


def _checked_last(last: int) -> int:
    if not 1 <= last <= candles.MAX_CANDLES:
        message = f"last must be between 1 and {candles.MAX_CANDLES:,}, but is {last}."
        raise InputError("INVALID_LIMIT", message, ["last"])
    return last


@strawberry.type(
    description="A coin, with its candles, predictions, signals, trades and sentiment.", directives=cached(Tier.LONG)
)
class Cryptocurrency(Node):
    symbol: str = strawberry.field(description="Ticker symbol in capitals, such as BTC. Unique.")
    name: str = strawberry.field(description="Name, such as Bitcoin.")
    coin_gecko_id: str | None = strawberry.field(
        description='Id of the coin at CoinGecko, such as "bitcoin"; null: not set.'
    )
    is_active: bool = strawberry.field(description="false: the coin is retired.")
    base_interval: Interval = strawberry.field(
        description="Length of the stored candles. Longer candles are aggregated from them."
    )
    created_at: datetime = strawberry.field(description="Time at which the coin was added.")
    updated_at: datetime = strawberry.field(description="Time of the last change of the coin.")

    @relation(Candle | None, "The newest stored candle; null if none is stored.")
    def latest(self: Row) -> Rows:
        return candles.latest(self)

    @relation(
        list[Candle],
        "Candles that open in the half-open range [from, to), oldest first. Intervals longer than baseInterval are "
        "aggregated: first open, highest high, lowest low, last close, sum of the volumes. Without from, to and last: "
        "the newest 500 candles. A range of more than 10,000 candles is an error (TOO_MANY_CANDLES), which suggests an "
        "interval that fits.",
        tier=Tier.SHORT,
        age_override=PAST_RANGE,
        weight=CANDLES,
    )
    def candles(
        self: Row,
        info: Info,
        interval: IntervalArgument = None,
        from_: FromArgument = None,
        to: ToArgument = None,
        last: LastArgument = None,
    ) -> ConditionalRows:
        return ConditionalRows(*candles.between(self, **_candle_arguments(info, interval, from_, to, last)))

    @relation(
        CandleSeries,
        "The same candles in columns, one list for each field, for charts. The response has less than half of the "
        "bytes of `candles`. Ranges, defaults and limits are the same.",
        tier=Tier.SHORT,
        age_override=PAST_RANGE,
        weight=CANDLES,
    )
    def series(
        self: Row,
        info: Info,
        interval: IntervalArgument = None,
        from_: FromArgument = None,
        to: ToArgument = None,
        last: LastArgument = None,
    ) -> ConditionalRows:
        return ConditionalRows(*candles.series(self, **_candle_arguments(info, interval, from_, to, last)))

    @connection(Prediction, "Predictions of its price, by all models.")
    def predictions(
        self: Row, filter_: PredictionFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first = is_newest_first(order_by)
        return predictions.listing(cryptocurrency_id=self.id, newest_first=newest_first, **criteria_of(filter_))

    @connection(Signal, "Signals for this coin that the viewer may see.")
    def signals(
        self: Row, info: Info, filter_: SignalFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first = is_newest_first(order_by)
        return signals.listing(
            info.context.viewer, cryptocurrency_id=self.id, newest_first=newest_first, **criteria_of(filter_)
        )

    @connection(Trade, "Trades of this coin that the viewer may see.")
    def trades(
        self: Row, info: Info, filter_: TradeFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first = is_newest_first(order_by)
        return trades.listing(
            info.context.viewer, cryptocurrency_id=self.id, newest_first=newest_first, **criteria_of(filter_)
        )

    @connection(Sentiment, "Sentiment about this coin, newest first.")
    def sentiment(
        self: Row,
        source_: Annotated[
            str | None, strawberry.argument(name="source", description='Only from this source, such as "reddit".')
        ] = None,
        timestamp: Annotated[
            TimeRange | None, strawberry.argument(description="Only sentiment whose timestamp is in this range.")
        ] = None,
    ) -> Listing:
        span = time_span(timestamp, ["timestamp"])
        return sentiment.listing(cryptocurrency_id=self.id, source=source_, timestamp=span)


def _candle_arguments(info: Info, interval: Interval | None, since: Any, until: Any, last: Any) -> dict[str, Any]:
    """Keyword arguments of the queries in db.queries.candles. Raises InputError."""
    return {
        "interval": interval and interval.name,
        "span": None if since is None and until is None else checked_span(since, until),
        "last": None if last is None else derive(_checked_last, last),
        "path": info.path.as_list(),
    }
