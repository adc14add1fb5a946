"""Candles of a coin: as they are stored, or put together into longer ones."""

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
from db.queries.candle_sources import Source, instant, of_whole_candles, sources
from db.queries.listings import Span, within
from db.rejection import reject

MAX_CANDLES = 10_000
NEWEST = 500
NO_NUMBERS = literal_column("'{}'::float8[]", ARRAY(Double))


class Alternatives(NamedTuple):
    """The rows of the first case whose condition holds for the coin, or otherwise. A refusal is in a condition."""

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
) -> Alternatives:
    """A coin's candles that open within the span, oldest first; last: only the newest of them.

    interval: the length to put them together into; None for the stored one. A longer candle is built from everything
    that is stored in it, even where the span ends inside it. Refuses an interval shorter than the coin's candles, and
    more than 10,000 candles where last does not limit them. path: what a refusal is said of.
    """
    wanted = _wanted(coin, interval, span, last, path)

    def closing(rows: Subquery) -> Select[Any]:
        close_time = rows.c.open_time + wanted.length
        is_closed = close_time <= func.now()
        return select(*rows.c, close_time.label("close_time"), is_closed.label("is_closed")).order_by(rows.c.open_time)

    return wanted.alternatives(closing)


def series(
    coin: Any,
    *,
    interval: str | None = None,
    span: Span | None = None,
    last: Any = None,
    path: Sequence[str | int] = (),
) -> Alternatives:
    """One row: the candles that between() gives, as a list for each column. Open times are seconds since 1970."""
    return _wanted(coin, interval, span, last, path).alternatives(_as_lists)


def _as_lists(rows: Subquery) -> Select[Any]:
    lists = {
        "open_time": _listed(cast(extract("epoch", rows.c.open_time), Double), rows),
        **{name: _listed(rows.c[name], rows) for name in ("open", "high", "low", "close", "volume")},
    }
    return select(select(*(values.label(name) for name, values in lists.items())).subquery())


def _listed(value: Any, rows: Any) -> ColumnElement[Any]:
    """The values of all candles, oldest first. As an array: its JSON has no spaces, that of json_agg has."""
    values = func.array_agg(aggregate_order_by(value, rows.c.open_time), type_=ARRAY(Double))
    return func.coalesce(values, NO_NUMBERS)


def _wanted(coin: Any, interval: str | None, span: Span | None, last: Any, path: Sequence[str | int]) -> "_Wanted":
    if span is None and last is None:
        last = NEWEST
    return _Wanted(coin, interval, span or Span(), last, path)


@dataclass(frozen=True)
class _Wanted:
    coin: Any
    interval: str | None
    span: Span
    last: Any
    path: Sequence[str | int]

    @property
    def length(self) -> ColumnElement[timedelta]:
        length: ColumnElement[timedelta] = self.coin.base_length
        return length if self.interval is None else interval_constant(INTERVALS[self.interval])

    def alternatives(self, shown: Callable[[Subquery], Select[Any]]) -> Alternatives:
        """What is shown of the candles, which come in no order. Of several sources, one runs."""
        *found, last = sources(self.coin, self.interval)
        otherwise = self._candles(last)
        refusals = self._refusals()
        if not found:
            if refusals:
                # Nothing to limit: the refusal stands where PostgreSQL evaluates it once, before it reads a row.
                limited = select(otherwise).limit(cast(case(*refusals), Integer))
                otherwise = limited.correlate_except(otherwise).subquery()
            return Alternatives([], shown(otherwise))
        # The first condition is always evaluated, and once.
        conditions = [source.condition for source in found]
        conditions[0] = case(*refusals, else_=conditions[0])
        cases = [(condition, shown(self._candles(source))) for condition, source in zip(conditions, found, strict=True)]
        return Alternatives(cases, shown(otherwise))

    def _candles(self, source: Source) -> Subquery:
        return source.candles(self.coin, self.span, self.last).subquery()

    def _refusals(self) -> list[tuple[ColumnElement[bool], ColumnElement[bool]]]:
        """What cannot be answered, each with its refusal."""
        refusals = []
        if self.interval is not None:
            refusals.append((self.length < self.coin.base_length, self._refuse_shorter()))
        if self.last is None:
            refusals.append((self._are_too_many(), self._refuse_many()))
        return refusals

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
        return reject(code, message, path=json_constant(self.path), argument=json_constant(["interval"]), **details)

    def _are_too_many(self) -> ColumnElement[bool]:
        """By the width of the range, then by two looks at the index; by counting only where both are too wide."""
        since, until = self.span
        is_narrow: list[ColumnElement[bool]] = []
        if since is not None and until is not None:
            is_narrow.append(instant(until) - instant(since) <= times(MAX_CANDLES, self.length))
        is_narrow.append(func.coalesce(self._extent() < times(MAX_CANDLES - 1, self.length), True))
        return case(*((narrow, false()) for narrow in is_narrow), else_=self._count() > MAX_CANDLES)

    def _extent(self) -> ColumnElement[timedelta]:
        """From the first to the last candle that is stored in the range; null where there is none."""
        candle = Candle.rows()
        span = self.span if self.interval is None else of_whole_candles(self.span, self.length)
        criteria = [criterion for criterion in within(candle.c.open_time, span) if criterion is not None]
        extent = select(func.max(candle.c.open_time) - func.min(candle.c.open_time))
        of_coin = extent.where(candle.c.cryptocurrency_id == self.coin.id, *criteria)
        return of_coin.correlate_except(candle).scalar_subquery()

    def _count(self) -> ColumnElement[int]:
        """How many candles there are, or at least that there are too many: it stops reading then."""
        found = [source.open_times(self.coin, self.span, MAX_CANDLES) for source in sources(self.coin, self.interval)]
        candle = union_all(*found).subquery()
        count = select(func.count(candle.c.open_time.distinct()))
        return count.correlate_except(candle).scalar_subquery()
