from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import insert, select

from db.engine import Connection
from db.models import Cryptocurrency, Prediction
from db.settle import LARGEST_PRICE, settle
from db.writes import cryptocurrencies, models
from db.writes.validation import (
    Problem,
    ValidationError,
    invalid,
    json_problem,
    price_problem,
    share_problem,
    time_problem,
)

PREDICTION = Prediction.table()
COIN = Cryptocurrency.table()
MAX_PREDICTIONS = 1_000
MAX_PROBLEMS = 100


class Forecast(NamedTuple):
    symbol: str
    predicted_at: datetime
    target_at: datetime
    predicted_price: float
    confidence: float | None
    features: Any


class Recorded(NamedTuple):
    model_id: int
    prediction_ids: list[int]
    settled: int


async def record(
    connection: Connection, *, model_name: str, model_version: str, forecasts: Sequence[Forecast]
) -> Recorded:
    """Record what a model predicted, and register the model if need be. What is due by now is settled at once.

    Raises ValidationError.
    """
    if not 1 <= len(forecasts) <= MAX_PREDICTIONS:
        message = f"1 to {MAX_PREDICTIONS:,} predictions at a time, not {len(forecasts):,}."
        raise invalid("TOO_MANY_PREDICTIONS", "predictions", message)
    coins = await _coins(connection, {forecast.symbol.upper() for forecast in forecasts})
    problems = [
        Problem(problem.code, ("predictions", str(number), *problem.field), problem.message)
        for number, forecast in enumerate(forecasts)
        for problem in _problems(forecast, coins)
    ]
    if problems:
        raise ValidationError(*problems[:MAX_PROBLEMS])
    model_id = await models.ensure(connection, model_name, model_version)
    rows = [_row(forecast, coins[forecast.symbol.upper()], model_id) for forecast in forecasts]
    statement = insert(Prediction).returning(PREDICTION.c.id, sort_by_parameter_order=True)
    ids = list((await connection.execute(statement, rows)).scalars())
    is_due = any(forecast.target_at <= datetime.now(UTC) for forecast in forecasts)
    return Recorded(model_id, ids, await settle(connection, in_time=True) if is_due else 0)


async def _coins(connection: Connection, symbols: set[str]) -> dict[str, int]:
    possible = [symbol for symbol in symbols if cryptocurrencies.SYMBOL.fullmatch(symbol)]
    found = await connection.execute(select(COIN.c.symbol, COIN.c.id).where(COIN.c.symbol.in_(possible)))
    return {symbol: key for symbol, key in found}  # noqa: C416 - rows are no pairs to the type checker


def _problems(forecast: Forecast, coins: dict[str, int]) -> list[Problem]:
    found = [
        price_problem("predicted_price", forecast.predicted_price),
        share_problem("confidence", forecast.confidence),
        time_problem("predicted_at", forecast.predicted_at),
        time_problem("target_at", forecast.target_at),
        json_problem("features", forecast.features),
    ]
    if forecast.symbol.upper() not in coins:
        found.append(Problem("NOT_FOUND", ("symbol",), "There is no such cryptocurrency."))
    if forecast.target_at <= forecast.predicted_at:
        message = "The target time must be later than the time of the prediction."
        found.append(Problem("OUT_OF_RANGE", ("target_at",), message))
    if forecast.predicted_price > LARGEST_PRICE:
        found.append(Problem("OUT_OF_RANGE", ("predicted_price",), "No price is as high as that."))
    return [problem for problem in found if problem is not None]


def _row(forecast: Forecast, cryptocurrency_id: int, model_id: int) -> dict[str, Any]:
    values = forecast._asdict()
    del values["symbol"]
    return {"cryptocurrency_id": cryptocurrency_id, "model_id": model_id, **values}
