"""Candles of a coin: as they are stored, or put together into longer ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Double,
    Integer,
    Select,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from db.constants import interval_constant, json_constant, text_constant, time_constant, times
from db.intervals import GRID_ORIGIN, INTERVALS
from db.models import Candle
from db.queries.listings import Span, within
from db.refusals import refuse

MAX_CANDLES = 10_000
NEWEST = 500
ORIGIN = time_constant(GRID_ORIGIN)
INSTANT = interval_constant(timedelta(microseconds=1))


def latest(coin: Any) -> Select[Any]:
    """The newest stored candle of a coin."""
    return between(coin, last=1)


def between(
    coin: Any,
    *,
    interval: str | None = None,
    span: Span | None = None,
    last: Any = None,
    path: Sequence[str | int] = (),
) -> Select[Any]:
    """A coin's candles that open within the span, oldest first; last: only the newest of them.

    interval: the length to put them together into; None for the stored one. A longer candle is built from everything
    that is stored in it, even where the span ends inside it. Refuses an interval shorter than the coin's candles, and
    more than 10,000 candles where last does not limit them. path: what a refusal is said of.
    """
    if span is None and last is None:
        last = NEWEST
    wanted = _Wanted(coin, interval, span or Span(), path)
    candles = wanted.candles(last)
    # Nothing to limit here: the refusal stands where PostgreSQL evaluates it once, before it reads a row.
    rows = select(candles).limit(wanted.refusal(of_many=last is None)).correlate_except(candles).subquery()
    close_time = rows.c.open_time + wanted.length
    is_closed = close_time <= func.now()
    return select(*rows.c, close_time.label("close_time"), is_closed.label("is_closed")).order_by(rows.c.open_time)


@dataclass(frozen=True)
class _Wanted:
    coin: Any
    interval: str | None
    span: Span
    path: Sequence[str | int]

    @property
    def length(self) -> ColumnElement[timedelta]:
        length: ColumnElement[timedelta] = self.coin.base_length
        return length if self.interval is None else interval_constant(INTERVALS[self.interval])

    def candles(self, last: Any) -> Subquery:
        """The candles. Where an interval is wanted, one of two branches runs: the coin decides which."""
        if self.interval is None:
            return self._stored(last).subquery()
        is_base = self.coin.base_interval == text_constant(self.interval)
        return union_all(self._stored(last).where(is_base), self._built(last).where(~is_base)).subquery()

    def refusal(self, *, of_many: bool) -> ColumnElement[int] | None:
        """The answer to what cannot be answered; null otherwise."""
        refusals = []
        if self.interval is not None:
            refusals.append((self.length < self.coin.base_length, self._refuse_shorter()))
        if of_many:
            refusals.append((self._are_too_many(), self._refuse_many()))
        return cast(case(*refusals), Integer) if refusals else None

    def _stored(self, last: Any) -> Select[Any]:
        candle = Candle.rows()
        columns = [
            candle.c[name].label(name)
            for name in ("open_time", "open", "high", "low", "close", "volume", "market_cap", "source")
        ]
        return _newest(self._of_coin(select(*columns), candle, self.span), candle.c.open_time, last)

    def _built(self, last: Any) -> Select[Any]:
        candle = Candle.rows()
        bucket = self._bucket(candle.c.open_time)
        one_source = func.min(candle.c.source) == func.max(candle.c.source)
        columns = [
            bucket.label("open_time"),
            _first(candle.c.open, candle.c.open_time).label("open"),
            func.max(candle.c.high).label("high"),
            func.min(candle.c.low).label("low"),
            _first(candle.c.close, candle.c.open_time.desc()).label("close"),
            func.sum(candle.c.volume).label("volume"),
            _first(candle.c.market_cap, candle.c.open_time.desc()).label("market_cap"),
            case((one_source, func.min(candle.c.source)), else_=text_constant("mixed")).label("source"),
        ]
        rows = self._of_coin(select(*columns), candle, self._buckets).group_by(bucket)
        return _newest(rows, bucket, last)

    def _refuse_shorter(self) -> ColumnElement[bool]:
        message = func.concat(
            text_constant("The stored candles of "),
            self.coin.symbol,
            text_constant(" are longer than that: the shortest interval is "),
            self.coin.base_interval,
            text_constant("."),
        )
        return self._refuse("INTERVAL_TOO_SHORT", message, baseInterval=self.coin.base_interval)

    def _refuse_many(self) -> ColumnElement[bool]:
        message = f"The range holds more than {MAX_CANDLES:,} candles: take a longer interval, or a shorter range."
        fitting = [
            (
                and_(length > self.length, self._extent() < times(MAX_CANDLES - 1, length)),
                text_constant(name),
            )
            for name, length in ((name, interval_constant(length)) for name, length in INTERVALS.items())
        ]
        return self._refuse("TOO_MANY_CANDLES", text_constant(message), suggestedInterval=case(*fitting))

    def _refuse(self, code: str, message: ColumnElement[str], **details: Any) -> ColumnElement[bool]:
        return refuse(code, message, path=json_constant(self.path), argument=json_constant(["interval"]), **details)

    def _are_too_many(self) -> ColumnElement[bool]:
        """By the extent of the range first, two looks at the index; by counting only where that is too wide."""
        candle = Candle.rows()
        buckets = func.count(self._bucket(candle.c.open_time).distinct())
        count = self._of_coin(select(buckets), candle, self._buckets).scalar_subquery()
        is_narrow = func.coalesce(self._extent() < times(MAX_CANDLES - 1, self.length), True)
        return case((is_narrow, false()), else_=count > MAX_CANDLES)

    def _extent(self) -> ColumnElement[timedelta]:
        """From the first to the last candle that is stored in the range; null where there is none."""
        candle = Candle.rows()
        extent = func.max(candle.c.open_time) - func.min(candle.c.open_time)
        return self._of_coin(select(extent), candle, self._buckets).scalar_subquery()

    def _of_coin(self, rows: Select[Any], candle: Any, span: Span) -> Select[Any]:
        criteria = [criterion for criterion in within(candle.c.open_time, span) if criterion is not None]
        return rows.where(candle.c.cryptocurrency_id == self.coin.id, *criteria).correlate_except(candle)

    @property
    def _buckets(self) -> Span:
        """The span, from the first candle that opens in it to the end of the last."""
        if self.interval is None:
            return self.span
        return Span(self._next_bucket(self.span.since), self._next_bucket(self.span.until))

    def _bucket(self, at: Any) -> ColumnElement[datetime]:
        """The open time of the candle of the wanted length that holds this time."""
        return func.date_bin(self.length, at, ORIGIN, type_=DateTime(timezone=True))

    def _next_bucket(self, at: Any) -> Any:
        """The first candle that opens at this time or later."""
        return None if at is None else self._bucket(cast(at, DateTime(timezone=True)) + self.length - INSTANT)


def _newest(rows: Select[Any], open_time: Any, last: Any) -> Select[Any]:
    return rows if last is None else rows.order_by(open_time.desc()).limit(last)


def _first(value: Any, order_by: Any) -> ColumnElement[Any]:
    return func.array_agg(aggregate_order_by(value, order_by), type_=ARRAY(Double))[1]
