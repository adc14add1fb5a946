"""Sources of candles: stored rows or rollups, either as they are or aggregated into longer candles."""

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
from db.queries.listings import Span, in_span

ORIGIN = time_constant(GRID_ORIGIN)
MICROSECOND = interval_constant(timedelta(microseconds=1))
COLUMNS = ("open_time", "open", "high", "low", "close", "volume", "market_cap", "source")
INFINITE = literal_column("'Infinity'::float8", Double)
LARGEST = literal_column("1.7976931348623157e308::float8", Double)


@dataclass(frozen=True)
class Source:
    """A table to read candles from, and how to aggregate its rows.

    condition: whether this source is the one for a coin. length: of the requested candles. parts: the maximum number
    of rows in a candle, None if rows are not aggregated.
    """

    table: type[Candle] | type[Rollup]
    length: ColumnElement[timedelta]
    condition: ColumnElement[bool]
    parts: ColumnElement[int] | None = None

    def candles(self, coin: Any, span: Span, last: Any) -> Select[Any]:
        """The candles that open within the span, whatever the condition. last: only the newest this many."""
        rows, open_time = self._rows(coin, span)
        if self.parts is None:
            return _newest(rows, open_time, last)
        # The newest candles are within last * parts rows: gaps only make a candle have fewer rows.
        limit = None if last is None else cast(last, BigInteger) * self.parts
        row = _newest(rows, open_time, limit).subquery()
        bucket = bucket_of(row.c.open_time, self.length)
        built = select(*_aggregates(row, bucket)).group_by(bucket).correlate_except(row)
        return _newest(built, bucket, last)

    def open_times(self, coin: Any, span: Span, at_most: int) -> Select[Any]:
        """Open times of candles of the span, possibly repeated: all of them, or more than at_most distinct ones."""
        rows, open_time = self._rows(coin, span)
        parts = literal_column("1", BigInteger) if self.parts is None else self.parts
        opened = open_time if self.parts is None else bucket_of(open_time, self.length)
        limited = (
            rows.where(self.condition).order_by(open_time).limit(literal_column(str(at_most), BigInteger) * parts + 1)
        )
        return limited.with_only_columns(opened.label("open_time"))

    def _rows(self, coin: Any, span: Span) -> tuple[Select[Any], ColumnElement[datetime]]:
        row = self.table.rows()
        span = span if self.parts is None else whole_candles(span, self.length)
        criteria = [criterion for criterion in in_span(row.c.open_time, span) if criterion is not None]
        columns = [_volume(row) if name == "volume" and self.table is not Candle else row.c[name] for name in COLUMNS]
        labelled = [column.label(name) for name, column in zip(COLUMNS, columns, strict=True)]
        rows = select(*labelled).where(row.c.cryptocurrency_id == coin.id, *criteria).correlate_except(row)
        return rows, row.c.open_time


def sources(coin: Any, interval: str | None) -> Iterator[Source]:
    """The possible sources of candles of this interval. A coin has exactly one, and none if its candles are longer."""
    if interval is None:
        yield Source(Candle, coin.base_length, true())
        return
    length = INTERVALS[interval]
    requested = interval_constant(length)
    yield Source(Candle, requested, coin.base_interval == text_constant(interval))
    is_shorter = coin.base_length < requested
    rollup = _longest_rollup(length)
    if rollup is not None:
        rollup_length = INTERVALS[rollup.interval]
        has_rollup = coin.base_length < interval_constant(rollup_length)
        parts = length // rollup_length
        yield Source(rollup, requested, has_rollup, None if parts == 1 else literal_column(str(parts), BigInteger))
        if parts == 1:
            return
        is_shorter = and_(is_shorter, ~has_rollup)
    parts_stored = cast(extract("epoch", requested) / extract("epoch", coin.base_length), BigInteger)
    yield Source(Candle, requested, is_shorter, parts_stored)


def whole_candles(span: Span, length: ColumnElement[timedelta]) -> Span:
    """The span with both bounds rounded up to candle boundaries, so that it covers whole candles."""
    bounds: list[Any] = [None if at is None else bucket_of(instant(at) + length - MICROSECOND, length) for at in span]
    return Span(*bounds)


def instant(at: Any) -> ColumnElement[datetime]:
    """A bound of a span, a value or a parameter, as timestamptz."""
    return cast(at, DateTime(timezone=True))


def bucket_of(at: Any, length: ColumnElement[timedelta]) -> ColumnElement[datetime]:
    """The open time of the candle of this length that contains this time."""
    return func.date_bin(length, at, ORIGIN, type_=DateTime(timezone=True))


def _longest_rollup(length: timedelta) -> type[Rollup] | None:
    """The longest rollup from which candles of this length can be aggregated."""
    return next((rollup for rollup in (DayRollup, HourRollup) if INTERVALS[rollup.interval] <= length), None)


def _aggregates(row: Any, bucket: ColumnElement[datetime]) -> list[ColumnElement[Any]]:
    one_source = func.min(row.c.source) == func.max(row.c.source)
    return [
        bucket.label("open_time"),
        _values_by_time(row.c.open, row)[1].label("open"),
        func.max(row.c.high).label("high"),
        func.min(row.c.low).label("low"),
        _values_by_time(row.c.close, row)[func.count()].label("close"),
        # Summed in order, so that the last digits do not depend on the plan.
        func.sum(aggregate_order_by(row.c.volume, row.c.open_time)).label("volume"),
        _values_by_time(row.c.market_cap, row)[func.count()].label("market_cap"),
        case((one_source, func.min(row.c.source)), else_=text_constant("mixed")).label("source"),
    ]


def _values_by_time(value: Any, row: Any) -> Any:
    return func.array_agg(aggregate_order_by(value, row.c.open_time), type_=ARRAY(Double))


def _volume(row: Any) -> ColumnElement[float]:
    """The volume of a rollup. An infinite one raises the overflow error that summing the candles would have raised."""
    return case((row.c.volume < INFINITE, row.c.volume), else_=func.least(row.c.volume, LARGEST) * 2)


def _newest(rows: Select[Any], open_time: Any, last: Any) -> Select[Any]:
    return rows if last is None else rows.order_by(open_time.desc()).limit(last)
