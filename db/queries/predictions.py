from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, select

from db.constants import text_constant, times
from db.models import Candle, Cryptocurrency, Model, Prediction
from db.queries.keys import keys_in
from db.queries.listings import ALWAYS, Criterion, Listing, Span, at_least, by_time, equal, narrowed, of_symbol, within
from db.settle import LARGEST_PRICE, SMALLEST_PRICE


def by_id(key: Any) -> Select[Any]:
    prediction = Prediction.rows()
    return select(prediction).where(prediction.c.id == key)


def by_keys(keys: Any) -> Select[Any]:
    """Those with these keys, in the order in which they were recorded."""
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
    predicted_at: Span = ALWAYS,
    target_at: Span = ALWAYS,
    newest_first: bool = True,
) -> Listing:
    """Predictions in the order in which they were made. model: a name, a version or both."""
    prediction = Prediction.rows()
    criteria = [
        equal(prediction.c.cryptocurrency_id, cryptocurrency_id),
        equal(prediction.c.model_id, model_id),
        of_symbol(prediction.c.cryptocurrency_id, symbol),
        _of_model(prediction.c.model_id, *model),
        None if status is None else has_status(prediction.c, status),
        at_least(prediction.c.confidence, min_confidence),
        *within(prediction.c.predicted_at, predicted_at),
        *within(prediction.c.target_at, target_at),
    ]
    rows = narrowed(select(prediction), criteria)
    return by_time(rows, "predictions", newest_first=newest_first, key="predicted_at")


def status_of(prediction: Any) -> ColumnElement[str]:
    """PENDING, SETTLED or VOID. Void: no candle tells the price, and later ones are stored, so none will."""
    candle = Candle.rows()
    closing = _closing_at(candle, prediction, prediction.target_at, candle.c.close).subquery()
    can_settle = and_(
        closing.c.close.between(SMALLEST_PRICE, LARGEST_PRICE), prediction.predicted_price <= LARGEST_PRICE
    )
    known = exists(select(closing.c.close).where(can_settle).correlate_except(closing))
    later = exists(_of_coin(candle, prediction, candle.c.id).where(candle.c.open_time >= prediction.target_at))
    return case(
        (prediction.actual_price.is_not(None), text_constant("SETTLED")),
        (and_(prediction.target_at <= func.now(), ~known, later), text_constant("VOID")),
        else_=text_constant("PENDING"),
    )


def has_status(prediction: Any, wanted: str) -> ColumnElement[bool]:
    """Whether a prediction has this status."""
    if wanted == "SETTLED":
        settled: ColumnElement[bool] = prediction.actual_price.is_not(None)
        return settled
    # The partial index on unsettled predictions narrows before the status of each is worked out.
    return and_(prediction.actual_price.is_(None), status_of(prediction) == wanted)


def direction_correct(prediction: Any) -> ColumnElement[bool]:
    """Whether the price moved the way that was predicted, from the last close known then.

    Null where one of the two moves is zero, or that close is missing.
    """
    candle = Candle.rows()
    predicted = func.nullif(func.sign(prediction.predicted_price - candle.c.close), 0)
    actual = func.nullif(func.sign(prediction.actual_price - candle.c.close), 0)
    return _closing_at(candle, prediction, prediction.predicted_at, predicted == actual).scalar_subquery()


def _closing_at(candle: Any, prediction: Any, at: Any, column: Any) -> Select[Any]:
    """The last base candle that had closed at a time, if that was no more than one base interval before."""
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
    found = narrowed(select(model.c.id), [equal(model.c.name, name), equal(model.c.version, version)])
    named: ColumnElement[bool] = model_id.in_(found)
    return named
