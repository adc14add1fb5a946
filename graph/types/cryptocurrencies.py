from datetime import UTC, datetime
from typing import Annotated, Any

import strawberry

from cache.tiers import Tier
from db.intervals import INTERVALS
from db.queries import candles, predictions, sentiment, signals, trades
from db.queries.listings import Listing
from graph.compiler.cost import Arguments, Weight
from graph.compiler.deferred import derive
from graph.compiler.policy import Exceptionally
from graph.compiler.symbols import Either, Row, Rows
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


def _in_capitals(symbols: list[str]) -> list[str]:
    return [symbol.upper() for symbol in symbols]


IntervalArgument = Annotated[
    Interval | None, strawberry.argument(description="Their length: baseInterval by default; shorter is refused.")
]
FromArgument = Annotated[
    datetime | None, strawberry.argument(name="from", description="The first open time: inclusive.")
]
ToArgument = Annotated[datetime | None, strawberry.argument(description="The end of the open times: exclusive.")]
LastArgument = Annotated[int | None, strawberry.argument(description="Only the newest of the range: 1 to 10,000.")]


def _has_passed(to: datetime | None) -> bool:
    return to is not None and to <= datetime.now(UTC)


# Candles of a range that is over hardly ever change.
ONCE_CLOSED = Exceptionally("to", _has_passed, Tier.LONG.seconds)


def _asked_candles(arguments: Arguments) -> float:
    """How many candles a range may hold. The length of stored ones is not known here: then as many as there may be."""
    last, since, until = (arguments.get(name) for name in ("last", "from", "to"))
    most = candles.MAX_CANDLES
    if isinstance(last, int):
        return min(max(last, 0), most)
    if since is None and until is None:
        return candles.NEWEST
    length = INTERVALS.get(_name_of(arguments.get("interval")))
    if length is None or since is None:
        return most
    try:
        extent = _time(until) - _time(since)
    except InputError:
        return most
    return min(max(extent / length, 0) + 1, most)


def _fewer_candles(arguments: Arguments, most: float) -> tuple[str, Any]:
    """A longer interval, where the range is to stay; else fewer of the newest."""
    if arguments.get("last") is None:
        for name in INTERVALS:
            if name != _name_of(arguments.get("interval")) and _asked_candles({**arguments, "interval": name}) <= most:
                return "interval", name
    return "last", int(most)


def _time(given: Any) -> datetime:
    """Of an argument, which is a text where the document holds it. Raises InputError."""
    if given is None:
        return datetime.now(UTC)
    return given if isinstance(given, datetime) else parse_time(given)


def _name_of(interval: Any) -> str:
    return interval.name if isinstance(interval, Interval) else str(interval)


CANDLES = Weight(size=_asked_candles, each=0.1, smaller=_fewer_candles)


@strawberry.input(description="Narrows cryptocurrencies: one must meet everything that is given.")
class CryptocurrencyFilter:
    symbols: list[str] | None = strawberry.field(default=None, description="With one of these symbols, in any case.")
    is_active: bool | None = strawberry.field(default=None, description="Active, or retired.")
    search: str | None = strawberry.field(
        default=None, description="With this text in the symbol or name, in any case."
    )

    def criteria(self) -> dict[str, Any]:
        symbols = self.symbols and derive(_in_capitals, self.symbols)
        return {"symbols": symbols, "is_active": self.is_active, "search": self.search}


def _candle_count(last: int) -> int:
    if not 1 <= last <= candles.MAX_CANDLES:
        message = f"last must be between 1 and {candles.MAX_CANDLES:,}, but is {last}."
        raise InputError("INVALID_LIMIT", message, ["last"])
    return last


@strawberry.type(description="A coin, and all that is known about it.", directives=cached(Tier.LONG))
class Cryptocurrency(Node):
    symbol: str = strawberry.field(description="Its ticker symbol, such as BTC: unique.")
    name: str = strawberry.field(description="Its name, such as Bitcoin.")
    coin_gecko_id: str | None = strawberry.field(description="Its id at CoinGecko.")
    is_active: bool = strawberry.field(description="False once it has been retired.")
    base_interval: Interval = strawberry.field(
        description="The length of its stored candles; longer ones are put together from them."
    )
    created_at: datetime = strawberry.field(description="When it was added.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @relation(Candle | None, "Its newest stored candle.")
    def latest(self: Row) -> Rows:
        return candles.latest(self)

    @relation(
        list[Candle],
        "Candles that open in the half-open range [from, to), oldest first. A longer interval than baseInterval is put "
        "together: first open, highest high, lowest low, last close, summed volume. Without from, to and last: the "
        "newest 500. More than 10,000 are refused, and the error suggests an interval that fits.",
        tier=Tier.SHORT,
        exceptionally=ONCE_CLOSED,
        weight=CANDLES,
    )
    def candles(
        self: Row,
        info: Info,
        interval: IntervalArgument = None,
        from_: FromArgument = None,
        to: ToArgument = None,
        last: LastArgument = None,
    ) -> Either:
        return Either(*candles.between(self, **_wanted(info, interval, from_, to, last)))

    @relation(
        CandleSeries,
        "The same candles as a list for each field, as charts take them, in less than half of the bytes. The same "
        "ranges, defaults and limits.",
        tier=Tier.SHORT,
        exceptionally=ONCE_CLOSED,
        weight=CANDLES,
    )
    def series(
        self: Row,
        info: Info,
        interval: IntervalArgument = None,
        from_: FromArgument = None,
        to: ToArgument = None,
        last: LastArgument = None,
    ) -> Either:
        return Either(*candles.series(self, **_wanted(info, interval, from_, to, last)))

    @connection(Prediction, "What models predicted for it.")
    def predictions(
        self: Row, filter_: PredictionFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first = is_newest_first(order_by)
        return predictions.listing(cryptocurrency_id=self.id, newest_first=newest_first, **criteria_of(filter_))

    @connection(Signal, "Signals about it.")
    def signals(
        self: Row, info: Info, filter_: SignalFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first = is_newest_first(order_by)
        return signals.listing(
            info.context.viewer, cryptocurrency_id=self.id, newest_first=newest_first, **criteria_of(filter_)
        )

    @connection(Trade, "Trades in it.")
    def trades(
        self: Row, info: Info, filter_: TradeFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first = is_newest_first(order_by)
        return trades.listing(
            info.context.viewer, cryptocurrency_id=self.id, newest_first=newest_first, **criteria_of(filter_)
        )

    @connection(Sentiment, "What was said about it, newest first.")
    def sentiment(
        self: Row,
        source_: Annotated[str | None, strawberry.argument(name="source", description="Only from this source.")] = None,
        timestamp: Annotated[TimeRange | None, strawberry.argument(description="Only within this range.")] = None,
    ) -> Listing:
        span = time_span(timestamp, ["timestamp"])
        return sentiment.listing(cryptocurrency_id=self.id, source=source_, timestamp=span)


def _wanted(info: Info, interval: Interval | None, since: Any, until: Any, last: Any) -> dict[str, Any]:
    """Which candles, for db.queries.candles. Raises InputError."""
    return {
        "interval": interval and interval.name,
        "span": None if since is None and until is None else checked_span(since, until),
        "last": None if last is None else derive(_candle_count, last),
        "path": info.path.as_list(),
    }
