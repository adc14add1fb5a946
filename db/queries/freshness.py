"""Queries for the freshness of the data: newest candle, overdue predictions and stale coins."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Double, Integer, Select, cast, func, select

from db.constants import times
from db.models import Candle, Cryptocurrency, Prediction
from db.queries.predictions import has_status

STALE_AFTER_INTERVALS = 3


def for_health() -> Select[Any]:
    """One row (newest_candle_at, newest_candle_age_seconds, overdue_predictions), over all coins."""
    age = func.extract("epoch", func.now() - _newest_candle_of_all())
    return select(
        _newest_candle_of_all().label("newest_candle_at"),
        cast(age, Double).label("newest_candle_age_seconds"),
        _overdue().label("overdue_predictions"),
    )


def for_metrics() -> Select[Any]:
    """One row (newest_candle_at, overdue_predictions, stale_coins), over all coins."""
    stale_count = select(func.count(type_=Integer)).select_from(stale_coins().subquery()).scalar_subquery()
    return select(
        _newest_candle_of_all().label("newest_candle_at"),
        _overdue().label("overdue_predictions"),
        stale_count.label("stale_coins"),
    )


def stale_coins() -> Select[Any]:
    """Active coins whose newest candle closed more than three base intervals ago."""
    coin = Cryptocurrency.rows()
    closed = _newest_candle(coin) + coin.c.base_length
    is_stale = closed < func.now() - times(STALE_AFTER_INTERVALS, coin.c.base_length)
    return select(coin).where(coin.c.is_active, is_stale).order_by(coin.c.id)


def _newest_candle(coin: Any) -> ColumnElement[datetime]:
    """The open time of a coin's newest candle, by one lookup in the primary key."""
    candle = Candle.rows()
    newest = select(func.max(candle.c.open_time)).where(candle.c.cryptocurrency_id == coin.c.id)
    return newest.correlate(coin).scalar_subquery()


def _newest_candle_of_all() -> ColumnElement[datetime]:
    coin = Cryptocurrency.rows()
    return select(func.max(_newest_candle(coin))).select_from(coin).scalar_subquery()


def _overdue() -> ColumnElement[int]:
    """The number of pending predictions whose target passed more than one base interval ago.

    Void predictions are not counted: they never settle, so an alert on the count could never clear.
    """
    coin, prediction = Cryptocurrency.rows(), Prediction.rows()
    rows = select(func.count(type_=Integer)).join_from(coin, prediction, coin.c.id == prediction.c.cryptocurrency_id)
    is_overdue = prediction.c.target_at < func.now() - coin.c.base_length
    return rows.where(is_overdue, has_status(prediction.c, "PENDING")).scalar_subquery()
