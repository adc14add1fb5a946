"""Where candles come from: stored rows or rollups, as they are or put together into longer ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Double,
    Select,
    and_,
    case,
    cast,
    extract,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from db.constants import interval_constant, text_constant, time_constant
from db.intervals import GRID_ORIGIN, INTERVALS
from db.models import Candle, DayRollup, HourRollup, Rollup
from db.queries.listings import Span, within

ORIGIN = time_constant(GRID_ORIGIN)
INSTANT = interval_constant(timedelta(microseconds=1))
COLUMNS = ("open_time", "open", "high", "low", "close", "volume", "market_cap", "source")
INFINITE = literal_column("'Infinity'::float8", Double)
LARGEST = literal_column("1.7976931348623157e308::float8", Double)


@dataclass(frozen=True)
class Source:
    """Rows of a coin, and what becomes of them.

    condition: whether the coin's candles come from here. parts: how many rows a candle
    holds at most, if it is put together from several. length: that of the wanted candles.
    """

    table: type[Candle] | type[Rollup]
    length: ColumnElement[timedelta]
    condition: ColumnElement[bool]
    parts: ColumnElement[int] | None = None

    def candles(self, coin: Any, span: Span, last: Any) -> Select[Any]:
        """The candles that open within the span, whatever the condition; last: only the newest of them."""
        rows, open_time = self._rows(coin, span)
        if self.parts is None:
            return _newest(rows, open_time, last)
        # The newest candles lie within as many rows as they hold at most, whatever the gaps.
        limit = None if last is None else cast(last, BigInteger) * self.parts
        row = _newest(rows, open_time, limit).subquery()
        bucket = bucket_of(row.c.open_time, self.length)
        built = select(*_put_together(row, bucket)).group_by(bucket).correlate_except(row)
        return _newest(built, bucket, last)

    def open_times(self, coin: Any, span: Span, at_most: int) -> Select[Any]:
        """The open times of candles of the span, some more than once; there are more than at_most, or these are all."""
        rows, open_time = self._rows(coin, span)
        parts = literal_column("1", BigInteger) if self.parts is None else self.parts
        shown = open_time if self.parts is None else bucket_of(open_time, self.length)
        limited = (
            rows.where(self.condition).order_by(open_time).limit(literal_column(str(at_most), BigInteger) * parts + 1)
        )
        return limited.with_only_columns(shown.label("open_time"))

    def _rows(self, coin: Any, span: Span) -> tuple[Select[Any], ColumnElement[datetime]]:
        row = self.table.rows()
        span = span if self.parts is None else of_whole_candles(span, self.length)
        criteria = [criterion for criterion in within(row.c.open_time, span) if criterion is not None]
        columns = [_volume(row) if name == "volume" and self.table is not Candle else row.c[name] for name in COLUMNS]
        shown = [column.label(name) for name, column in zip(COLUMNS, columns, strict=True)]
        rows = select(*shown).where(row.c.cryptocurrency_id == coin.id, *criteria).correlate_except(row)
        return rows, row.c.open_time


def sources(coin: Any, interval: str | None) -> Iterator[Source]:
    """Where a coin's candles of this interval come from: each coin has one of them, and none for shorter candles."""
    if interval is None:
        yield Source(Candle, coin.base_length, true())
        return
    length = INTERVALS[interval]
    shown = interval_constant(length)
    yield Source(Candle, shown, coin.base_interval == text_constant(interval))
    is_shorter = coin.base_length < shown
    rollup = _longest_rollup(length)
    if rollup is not None:
        rollup_length = INTERVALS[rollup.interval]
        has_rollup = coin.base_length < interval_constant(rollup_length)
        parts = length // rollup_length
        yield Source(rollup, shown, has_rollup, None if parts == 1 else literal_column(str(parts), BigInteger))
        if parts == 1:
            return
        is_shorter = and_(is_shorter, ~has_rollup)
    parts_stored = cast(extract("epoch", shown) / extract("epoch", coin.base_length), BigInteger)
    yield Source(Candle, shown, is_shorter, parts_stored)


def of_whole_candles(span: Span, length: ColumnElement[timedelta]) -> Span:
    """The span, from the first candle that opens in it to the end of the last."""
    bounds: list[Any] = [None if at is None else bucket_of(instant(at) + length - INSTANT, length) for at in span]
    return Span(*bounds)


def instant(at: Any) -> ColumnElement[datetime]:
    """A bound of a span, whether it is a value or a parameter."""
    return cast(at, DateTime(timezone=True))


def bucket_of(at: Any, length: ColumnElement[timedelta]) -> ColumnElement[datetime]:
    """The open time of the candle of this length that holds this time."""
    return func.date_bin(length, at, ORIGIN, type_=DateTime(timezone=True))


def _longest_rollup(length: timedelta) -> type[Rollup] | None:
    """The one that candles of this length are made of."""
    return next((rollup for rollup in (DayRollup, HourRollup) if INTERVALS[rollup.interval] <= length), None)


def _put_together(row: Any, bucket: ColumnElement[datetime]) -> list[ColumnElement[Any]]:
    one_source = func.min(row.c.source) == func.max(row.c.source)
    return [
        bucket.label("open_time"),
        _in_order(row.c.open, row)[1].label("open"),
        func.max(row.c.high).label("high"),
        func.min(row.c.low).label("low"),
        _in_order(row.c.close, row)[func.count()].label("close"),
        # In order, so that the last digits do not depend on the plan.
        func.sum(aggregate_order_by(row.c.volume, row.c.open_time)).label("volume"),
        _in_order(row.c.market_cap, row)[func.count()].label("market_cap"),
        case((one_source, func.min(row.c.source)), else_=text_constant("mixed")).label("source"),
    ]


def _in_order(value: Any, row: Any) -> Any:
    return func.array_agg(aggregate_order_by(value, row.c.open_time), type_=ARRAY(Double))


def _volume(row: Any) -> ColumnElement[float]:
    """The volume of a rollup. Where it is infinite, reading it is the error that the sum would have been."""
    return case((row.c.volume < INFINITE, row.c.volume), else_=func.least(row.c.volume, LARGEST) * 2)


def _newest(rows: Select[Any], open_time: Any, last: Any) -> Select[Any]:
    return rows if last is None else rows.order_by(open_time.desc()).limit(last)
