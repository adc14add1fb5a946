"""Writes of signals."""

from typing import Any

from sqlalchemy import insert

from db.engine import Connection
from db.models import Signal
from db.queries import predictions, strategies
from db.queries.viewers import Viewer
from db.writes import cryptocurrencies, models
from db.writes.references import referenced_row
from db.writes.validation import fraction_error, json_error, raise_field_errors, time_error

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
    """Record a signal; return its key. values: type, timestamp.

    It belongs to the user of its strategy; without a strategy, to this user.

    model: a name and a version; by default the model of the prediction. Raises ValidationError.
    """
    raise_field_errors(
        fraction_error("confidence", confidence),
        time_error("timestamp", values.get("timestamp")),
        json_error("extra", extra),
    )
    coin = await cryptocurrencies.by_symbol(connection, symbol)
    model_id = None if model is None else await models.key_of(connection, *model)
    if strategy_id is not None:
        await referenced_row(connection, strategies.by_id(viewer, strategy_id), "strategy_id")
    if prediction_id is not None:
        prediction = await referenced_row(connection, predictions.by_id(prediction_id), "prediction_id", about=coin)
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
