"""Writes of predictions."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import insert, select

from db.engine import Connection
from db.models import Cryptocurrency, Prediction
from db.settle import LARGEST_PRICE, settle
from db.writes import cryptocurrencies, models
from db.writes.validation import (
    MAX_FIELD_ERRORS,
    FieldError,
    ValidationError,
    fraction_error,
    json_error,
    price_error,
    time_error,
    validation_error,
)

PREDICTION = Prediction.table()
COIN = Cryptocurrency.table()
MAX_PREDICTIONS = 1_000


class Forecast(NamedTuple):
    """A prediction to record. confidence: 0 to 1. features: a JSON object."""

    symbol: str
    predicted_at: datetime
    target_at: datetime
    predicted_price: float
    confidence: float | None
    features: Any


class Recorded(NamedTuple):
    """Result of record(). settled: the number of predictions that were settled."""

    model_id: int
    prediction_ids: list[int]
    settled: int


async def record(
    connection: Connection, *, model_name: str, model_version: str, forecasts: Sequence[Forecast]
) -> Recorded:
    """Record predictions of a model, which is registered if needed. Predictions that are due are settled immediately.

    Raises ValidationError.
    """
    if not 1 <= len(forecasts) <= MAX_PREDICTIONS:
        message = f"1 to {MAX_PREDICTIONS:,} predictions at a time, not {len(forecasts):,}."
        raise validation_error("TOO_MANY_PREDICTIONS", "predictions", message)
    coins = await _coins(connection, {forecast.symbol.upper() for forecast in forecasts})
    errors = [
        FieldError(error.code, ("predictions", str(number), *error.field), error.message)
        for number, forecast in enumerate(forecasts)
        for error in _errors(forecast, coins)
    ]
    if errors:
        raise ValidationError(*errors[:MAX_FIELD_ERRORS])
    model_id = await models.ensure(connection, model_name, model_version)
    rows = [_row(forecast, coins[forecast.symbol.upper()], model_id) for forecast in forecasts]
    statement = insert(Prediction).returning(PREDICTION.c.id, sort_by_parameter_order=True)
    ids = list((await connection.execute(statement, rows)).scalars())
    is_due = any(forecast.target_at <= datetime.now(UTC) for forecast in forecasts)
    return Recorded(model_id, ids, await settle(connection, for_request=True) if is_due else 0)


async def _coins(connection: Connection, symbols: set[str]) -> dict[str, int]:
    valid = [symbol for symbol in symbols if cryptocurrencies.SYMBOL.fullmatch(symbol)]
    found = await connection.execute(select(COIN.c.symbol, COIN.c.id).where(COIN.c.symbol.in_(valid)))
    return {symbol: key for symbol, key in found}  # noqa: C416 - the type checker does not accept rows as pairs


def _errors(forecast: Forecast, coins: dict[str, int]) -> list[FieldError]:
    errors = [
        price_error("predicted_price", forecast.predicted_price),
        fraction_error("confidence", forecast.confidence),
        time_error("predicted_at", forecast.predicted_at),
        time_error("target_at", forecast.target_at),
        json_error("features", forecast.features),
    ]
    if forecast.symbol.upper() not in coins:
        errors.append(FieldError("NOT_FOUND", ("symbol",), "There is no such cryptocurrency."))
    if forecast.target_at <= forecast.predicted_at:
        message = "The target time must be later than the time of the prediction."
        errors.append(FieldError("OUT_OF_RANGE", ("target_at",), message))
    if forecast.predicted_price > LARGEST_PRICE:
        errors.append(FieldError("OUT_OF_RANGE", ("predicted_price",), f"This must be at most {LARGEST_PRICE:g}."))
    return [error for error in errors if error is not None]


def _row(forecast: Forecast, cryptocurrency_id: int, model_id: int) -> dict[str, Any]:
    values = forecast._asdict()
    del values["symbol"]
    return {"cryptocurrency_id": cryptocurrency_id, "model_id": model_id, **values}
