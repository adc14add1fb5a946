"""Is the data itself alive?"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Double, Integer, Select, cast, func, select

from db.constants import times
from db.models import Candle, Cryptocurrency, Prediction
from db.queries.predictions import has_status

STALE_AFTER_INTERVALS = 3


def freshness() -> Select[Any]:
    """One row: the newest candle of all, its age, and how many predictions are overdue."""
    age = func.extract("epoch", func.now() - _newest_candle_of_all())
    return select(
        _newest_candle_of_all().label("newest_candle_at"),
        cast(age, Double).label("newest_candle_age_seconds"),
        _overdue().label("overdue_predictions"),
    )


def for_monitors() -> Select[Any]:
    """One row: the newest candle of all, how many predictions are overdue, and how many coins are stale."""
    stale_coins = select(func.count(type_=Integer)).select_from(stale().subquery()).scalar_subquery()
    return select(
        _newest_candle_of_all().label("newest_candle_at"),
        _overdue().label("overdue_predictions"),
        stale_coins.label("stale_coins"),
    )


def stale() -> Select[Any]:
    """Active coins whose newest candle closed more than three base intervals ago."""
    coin = Cryptocurrency.rows()
    closed = _newest_candle(coin) + coin.c.base_length
    is_stale = closed < func.now() - times(STALE_AFTER_INTERVALS, coin.c.base_length)
    return select(coin).where(coin.c.is_active, is_stale).order_by(coin.c.id)


def _newest_candle(coin: Any) -> ColumnElement[datetime]:
    """The open time of a coin's newest candle: one look at the primary key."""
    candle = Candle.rows()
    newest = select(func.max(candle.c.open_time)).where(candle.c.cryptocurrency_id == coin.c.id)
    return newest.correlate(coin).scalar_subquery()


def _newest_candle_of_all() -> ColumnElement[datetime]:
    coin = Cryptocurrency.rows()
    return select(func.max(_newest_candle(coin))).select_from(coin).scalar_subquery()


def _overdue() -> ColumnElement[int]:
    """Predictions whose target passed by more than one base interval, and that wait for their candle.

    Void ones wait for nothing: an alarm that counted them could never be cleared.
    """
    coin, prediction = Cryptocurrency.rows(), Prediction.rows()
    rows = select(func.count(type_=Integer)).join_from(coin, prediction, coin.c.id == prediction.c.cryptocurrency_id)
    is_overdue = prediction.c.target_at < func.now() - coin.c.base_length
    return rows.where(is_overdue, has_status(prediction.c, "PENDING")).scalar_subquery()
