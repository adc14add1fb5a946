from typing import Any

from sqlalchemy import insert

from db.engine import Connection
from db.models import Signal
from db.queries import predictions, strategies
from db.queries.viewers import Viewer
from db.writes import cryptocurrencies, models
from db.writes.references import referred
from db.writes.validation import json_problem, raise_problems, share_problem, time_problem

SIGNAL = Signal.table()


async def record(
    connection: Connection,
    viewer: Viewer,
    user_id: int,
    *,
    symbol: str,
    strategy_id: int | None = None,
    prediction_id: int | None = None,
    model: tuple[str, str] | None = None,
    confidence: float | None = None,
    extra: Any = None,
    **values: Any,
) -> int:
    """A new signal's key. It belongs to the user of its strategy, or else to this one. values: type, timestamp.

    model: a name and a version; that of the prediction by default. Raises ValidationError.
    """
    raise_problems(
        share_problem("confidence", confidence),
        time_problem("timestamp", values.get("timestamp")),
        json_problem("extra", extra),
    )
    coin = await cryptocurrencies.find(connection, symbol)
    model_id = None if model is None else await models.find(connection, *model)
    if strategy_id is not None:
        await referred(connection, strategies.by_id(viewer, strategy_id), "strategy_id")
    if prediction_id is not None:
        prediction = await referred(connection, predictions.by_id(prediction_id), "prediction_id", about=coin)
        model_id = model_id or prediction.model_id
    statement = insert(SIGNAL).values(
        cryptocurrency_id=coin.id,
        user_id=user_id,
        strategy_id=strategy_id,
        prediction_id=prediction_id,
        model_id=model_id,
        confidence=confidence,
        extra=extra,
        **values,
    )
    key: int = (await connection.execute(statement.returning(SIGNAL.c.id))).scalar_one()
    return key
