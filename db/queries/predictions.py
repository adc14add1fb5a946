"""Queries for predictions, their status and whether their direction was correct."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, select

from db.constants import text_constant, times
from db.models import Candle, Cryptocurrency, Model, Prediction
from db.queries.keys import keys_in
from db.queries.listings import (
    ANY_TIME,
    Criterion,
    Listing,
    Span,
    equal_to,
    filtered,
    greater_or_equal,
    in_span,
    of_symbol,
    ordered_by_time,
)
from db.settle import LARGEST_PRICE, SMALLEST_PRICE


def by_id(key: Any) -> Select[Any]:
    prediction = Prediction.rows()
    return select(prediction).where(prediction.c.id == key)


def by_keys(keys: Any) -> Select[Any]:
    """The predictions with these keys, in the order of their recording."""
    prediction = Prediction.rows()
    return select(prediction).where(prediction.c.id == keys_in(keys)).order_by(prediction.c.id)


def listing(
    *,
    cryptocurrency_id: Any = None,
    model_id: Any = None,
    symbol: Any = None,
    model: tuple[Any, Any] = (None, None),
    status: str | None = None,
    min_confidence: Any = None,
    predicted_at: Span = ANY_TIME,
    target_at: Span = ANY_TIME,
    newest_first: bool = True,
) -> Listing:
    """Predictions ordered by predicted_at. model: a name, a version or both."""
    prediction = Prediction.rows()
    criteria = [
        equal_to(prediction.c.cryptocurrency_id, cryptocurrency_id),
        equal_to(prediction.c.model_id, model_id),
        of_symbol(prediction.c.cryptocurrency_id, symbol),
        _of_model(prediction.c.model_id, *model),
        None if status is None else has_status(prediction.c, status),
        greater_or_equal(prediction.c.confidence, min_confidence),
        *in_span(prediction.c.predicted_at, predicted_at),
        *in_span(prediction.c.target_at, target_at),
    ]
    rows = filtered(select(prediction), criteria)
    return ordered_by_time(rows, "predictions", newest_first=newest_first, key="predicted_at")


def status_of(prediction: Any) -> ColumnElement[str]:
    """PENDING, SETTLED or VOID. VOID: no candle has the price at the target, and later candles are stored."""
    candle = Candle.rows()
    closing = _closing_at(candle, prediction, prediction.target_at, candle.c.close).subquery()
    can_settle = and_(
        closing.c.close.between(SMALLEST_PRICE, LARGEST_PRICE), prediction.predicted_price <= LARGEST_PRICE
    )
    is_settleable = exists(select(closing.c.close).where(can_settle).correlate_except(closing))
    has_later_candle = exists(
        _of_coin(candle, prediction, candle.c.id).where(candle.c.open_time >= prediction.target_at)
    )
    return case(
        (prediction.actual_price.is_not(None), text_constant("SETTLED")),
        (and_(prediction.target_at <= func.now(), ~is_settleable, has_later_candle), text_constant("VOID")),
        else_=text_constant("PENDING"),
    )


def has_status(prediction: Any, wanted: str) -> ColumnElement[bool]:
    if wanted == "SETTLED":
        settled: ColumnElement[bool] = prediction.actual_price.is_not(None)
        return settled
    # The partial index on unsettled predictions filters before the status of each is computed.
    return and_(prediction.actual_price.is_(None), status_of(prediction) == wanted)


def direction_correct(prediction: Any) -> ColumnElement[bool]:
    """Whether the price moved in the predicted direction, from the last close before the prediction.

    Null if the predicted or the actual move is zero, or that close is missing.
    """
    candle = Candle.rows()
    predicted = func.nullif(func.sign(prediction.predicted_price - candle.c.close), 0)
    actual = func.nullif(func.sign(prediction.actual_price - candle.c.close), 0)
    return _closing_at(candle, prediction, prediction.predicted_at, predicted == actual).scalar_subquery()


def _closing_at(candle: Any, prediction: Any, at: Any, column: Any) -> Select[Any]:
    """The last base candle that had closed at a time, if it closed at most one base interval before."""
    coin = Cryptocurrency.rows()
    recent = candle.c.open_time.between(at - times(2, coin.c.base_length), at - coin.c.base_length)
    rows = select(column).join_from(coin, candle, coin.c.id == candle.c.cryptocurrency_id)
    rows = rows.where(coin.c.id == prediction.cryptocurrency_id, recent).order_by(candle.c.open_time.desc()).limit(1)
    return rows.correlate_except(coin, candle)


def _of_coin(candle: Any, prediction: Any, column: Any) -> Select[Any]:
    rows = select(column).where(candle.c.cryptocurrency_id == prediction.cryptocurrency_id)
    return rows.correlate_except(candle)


def _of_model(model_id: Any, name: Any, version: Any) -> Criterion:
    if name is None and version is None:
        return None
    model = Model.rows()
    found = filtered(select(model.c.id), [equal_to(model.c.name, name), equal_to(model.c.version, version)])
    named: ColumnElement[bool] = model_id.in_(found)
    return named
