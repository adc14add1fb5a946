"""Queries for the candles of a coin: as stored, or aggregated into longer ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    Select,
    Subquery,
    and_,
    case,
    cast,
    extract,
    false,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from db.constants import interval_constant, json_constant, text_constant, times
from db.intervals import INTERVALS
from db.models import Candle
from db.queries.candle_sources import Source, instant, sources, whole_candles
from db.queries.listings import Span, in_span
from db.rejection import reject

MAX_CANDLES = 10_000
DEFAULT_LAST = 500
EMPTY_ARRAY = literal_column("'{}'::float8[]", ARRAY(Double))


class ConditionalRows(NamedTuple):
    """The rows of the first case whose condition holds, else those of otherwise. A condition can reject the request."""

    cases: list[tuple[ColumnElement[bool], Select[Any]]]
    otherwise: Select[Any]


def latest(coin: Any) -> Select[Any]:
    """The newest stored candle of a coin."""
    return between(coin, last=1).otherwise


def between(
    coin: Any,
    *,
    interval: str | None = None,
    span: Span | None = None,
    last: Any = None,
    path: Sequence[str | int] = (),
) -> ConditionalRows:
    """A coin's candles that open within the span, oldest first. last: only the newest this many.

    interval: the interval to aggregate to; None for the stored one. A longer candle is built from all stored rows in
    it, even if the span ends inside it. Rejects an interval shorter than the coin's candles, and more than 10,000
    candles without last. Without a span and last: the newest 500. path: the response path for the error of a rejection.
    """
    request = _request(coin, interval, span, last, path)

    def with_close_time(rows: Subquery) -> Select[Any]:
        close_time = rows.c.open_time + request.length
        is_closed = close_time <= func.now()
        return select(*rows.c, close_time.label("close_time"), is_closed.label("is_closed")).order_by(rows.c.open_time)

    return request.rows(with_close_time)


def series(
    coin: Any,
    *,
    interval: str | None = None,
    span: Span | None = None,
    last: Any = None,
    path: Sequence[str | int] = (),
) -> ConditionalRows:
    """One row: the candles of between(), as one array per column. Open times are seconds since 1970."""
    return _request(coin, interval, span, last, path).rows(_as_arrays)


def _as_arrays(rows: Subquery) -> Select[Any]:
    lists = {
        "open_time": _array_of(cast(extract("epoch", rows.c.open_time), Double), rows),
        **{name: _array_of(rows.c[name], rows) for name in ("open", "high", "low", "close", "volume")},
    }
    return select(select(*(values.label(name) for name, values in lists.items())).subquery())


def _array_of(value: Any, rows: Any) -> ColumnElement[Any]:
    """The values of all candles, oldest first. An array, because its JSON has no spaces; that of json_agg has."""
    values = func.array_agg(aggregate_order_by(value, rows.c.open_time), type_=ARRAY(Double))
    return func.coalesce(values, EMPTY_ARRAY)


def _request(
    coin: Any, interval: str | None, span: Span | None, last: Any, path: Sequence[str | int]
) -> "_CandleRequest":
    if span is None and last is None:
        last = DEFAULT_LAST
    return _CandleRequest(coin, interval, span or Span(), last, path)


@dataclass(frozen=True)
class _CandleRequest:
    """The arguments of between() or series(), and the statement that they result in."""

    coin: Any
    interval: str | None
    span: Span
    last: Any
    path: Sequence[str | int]

    @property
    def length(self) -> ColumnElement[timedelta]:
        length: ColumnElement[timedelta] = self.coin.base_length
        return length if self.interval is None else interval_constant(INTERVALS[self.interval])

    def rows(self, present: Callable[[Subquery], Select[Any]]) -> ConditionalRows:
        """The result of present() for the candles, which are unordered. Only one of several sources is read."""
        *conditional, last = sources(self.coin, self.interval)
        otherwise = self._candles(last)
        rejections = self._rejections()
        if not conditional:
            if rejections:
                # The LIMIT limits nothing: PostgreSQL evaluates it once, before it reads a row.
                limited = select(otherwise).limit(cast(case(*rejections), Integer))
                otherwise = limited.correlate_except(otherwise).subquery()
            return ConditionalRows([], present(otherwise))
        # The first condition is always evaluated, exactly once.
        conditions = [source.condition for source in conditional]
        conditions[0] = case(*rejections, else_=conditions[0])
        cases = [
            (condition, present(self._candles(source)))
            for condition, source in zip(conditions, conditional, strict=True)
        ]
        return ConditionalRows(cases, present(otherwise))

    def _candles(self, source: Source) -> Subquery:
        return source.candles(self.coin, self.span, self.last).subquery()

    def _rejections(self) -> list[tuple[ColumnElement[bool], ColumnElement[bool]]]:
        """Pairs of a condition and the expression that rejects the request."""
        rejections = []
        if self.interval is not None:
            rejections.append((self.length < self.coin.base_length, self._reject_short_interval()))
        if self.last is None:
            rejections.append((self._are_too_many(), self._reject_too_many()))
        return rejections

    def _reject_short_interval(self) -> ColumnElement[bool]:
        message = func.concat(
            text_constant("The stored candles of "),
            self.coin.symbol,
            text_constant(" are longer than the requested interval: the shortest interval is "),
            self.coin.base_interval,
            text_constant("."),
        )
        return self._reject("INTERVAL_TOO_SHORT", message, baseInterval=self.coin.base_interval)

    def _reject_too_many(self) -> ColumnElement[bool]:
        message = f"The range holds more than {MAX_CANDLES:,} candles: use a longer interval or a shorter range."
        fitting = [
            (
                and_(length > self.length, self._extent() < times(MAX_CANDLES - 1, length)),
                text_constant(name),
            )
            for name, length in ((name, interval_constant(length)) for name, length in INTERVALS.items())
        ]
        return self._reject("TOO_MANY_CANDLES", text_constant(message), suggestedInterval=case(*fitting))

    def _reject(self, code: str, message: ColumnElement[str], **details: Any) -> ColumnElement[bool]:
        return reject(code, message, path=json_constant(self.path), argument=json_constant(["interval"]), **details)

    def _are_too_many(self) -> ColumnElement[bool]:
        """By the width of the range, then by two index lookups; counts candles only if both are too wide."""
        since, until = self.span
        is_narrow: list[ColumnElement[bool]] = []
        if since is not None and until is not None:
            is_narrow.append(instant(until) - instant(since) <= times(MAX_CANDLES, self.length))
        is_narrow.append(func.coalesce(self._extent() < times(MAX_CANDLES - 1, self.length), True))
        return case(*((narrow, false()) for narrow in is_narrow), else_=self._count() > MAX_CANDLES)

    def _extent(self) -> ColumnElement[timedelta]:
        """The time from the first to the last candle stored in the range; null if there is none."""
        candle = Candle.rows()
        span = self.span if self.interval is None else whole_candles(self.span, self.length)
        criteria = [criterion for criterion in in_span(candle.c.open_time, span) if criterion is not None]
        extent = select(func.max(candle.c.open_time) - func.min(candle.c.open_time))
        of_coin = extent.where(candle.c.cryptocurrency_id == self.coin.id, *criteria)
        return of_coin.correlate_except(candle).scalar_subquery()

    def _count(self) -> ColumnElement[int]:
        """The number of candles in the range. Stops reading once there are too many."""
        found = [source.open_times(self.coin, self.span, MAX_CANDLES) for source in sources(self.coin, self.interval)]
        candle = union_all(*found).subquery()
        count = select(func.count(candle.c.open_time.distinct()))
        return count.correlate_except(candle).scalar_subquery()
