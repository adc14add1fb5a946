"""The filter inputs. Every row meets a criterion that is missing or null."""

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.graph.oracle.records import Alert, Cryptocurrency, Model, Prediction, Signal, Trade

if TYPE_CHECKING:
    from tests.graph.oracle.context import EvaluationContext


def within(at: datetime, range_: dict[str, datetime | None] | None) -> bool:
    """Whether a time is in a half-open range."""
    since, until = (range_ or {}).get("from"), (range_ or {}).get("to")
    return (since is None or since <= at) and (until is None or at < until)


def coin_meets(coin: Cryptocurrency, wanted: dict[str, Any]) -> bool:
    symbols, search = wanted.get("symbols"), wanted.get("search")
    return (
        (symbols is None or coin.symbol in [symbol.upper() for symbol in symbols])
        and _equals(coin.is_active, wanted.get("isActive"))
        and (search is None or search.lower() in coin.symbol.lower() or search.lower() in coin.name.lower())
    )


def prediction_meets(context: "EvaluationContext", prediction: Prediction, wanted: dict[str, Any]) -> bool:
    model = context.world.get(Model, prediction.model_id)
    assert model is not None
    return (
        _is_of_symbol(context, prediction.cryptocurrency_id, wanted)
        and _equals(model.name, wanted.get("modelName"))
        and _equals(model.version, wanted.get("modelVersion"))
        and (wanted.get("status") is None or context.status(prediction) == wanted["status"])
        and _at_least(prediction.confidence, wanted.get("minConfidence"))
        and within(prediction.predicted_at, wanted.get("predictedAt"))
        and within(prediction.target_at, wanted.get("targetAt"))
    )


def signal_meets(context: "EvaluationContext", signal: Signal, wanted: dict[str, Any]) -> bool:
    return (
        _is_of_symbol(context, signal.cryptocurrency_id, wanted)
        and _is_among(signal.type, wanted.get("types"))
        and _is_id(signal.strategy_id, wanted.get("strategyId"))
        and _at_least(signal.confidence, wanted.get("minConfidence"))
        and within(signal.timestamp, wanted.get("timestamp"))
    )


def trade_meets(context: "EvaluationContext", trade: Trade, wanted: dict[str, Any]) -> bool:
    return (
        _is_of_symbol(context, trade.cryptocurrency_id, wanted)
        and _equals(trade.side, wanted.get("side"))
        and _equals(trade.status, wanted.get("status"))
        and _equals(trade.is_paper, wanted.get("isPaper"))
        and _is_id(context.strategy_of(trade), wanted.get("strategyId"))
        and within(trade.timestamp, wanted.get("timestamp"))
    )


def alert_meets(alert: Alert, wanted: dict[str, Any]) -> bool:
    return (
        _is_among(alert.type, wanted.get("types"))
        and _equals(alert.is_read, wanted.get("isRead"))
        and within(alert.timestamp, wanted.get("timestamp"))
    )


def _is_of_symbol(context: "EvaluationContext", coin: int, wanted: dict[str, Any]) -> bool:
    symbol = wanted.get("symbol")
    return symbol is None or context.coin(coin).symbol == symbol.upper()


def _is_id(key: int | None, wanted: str | None) -> bool:
    return wanted is None or base64.b64decode(wanted).decode() == f"Strategy:{key}"


def _equals(value: Any, wanted: Any) -> bool:
    return wanted is None or value == wanted


def _is_among(value: Any, wanted: list[Any] | None) -> bool:
    return wanted is None or value in wanted


def _at_least(value: float | None, wanted: float | None) -> bool:
    """A null value does not meet a minimum."""
    return wanted is None or (value is not None and value >= wanted)
