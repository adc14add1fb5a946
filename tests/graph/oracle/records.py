"""Rows as plain objects, and the table and column of each value: from the contract, independent of our models."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Cryptocurrency:
    id: int
    symbol: str
    name: str
    coin_gecko_id: str | None
    is_active: bool
    base_interval: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    cryptocurrency_id: int
    open_time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    market_cap: float | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    id: int
    name: str
    version: str
    type: str | None
    accuracy: float | None
    precision: float | None
    recall: float | None
    auc: float | None
    trained_at: datetime | None
    extra: Any
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    id: int
    cryptocurrency_id: int
    model_id: int
    predicted_at: datetime
    target_at: datetime
    predicted_price: float
    confidence: float | None
    features: Any
    actual_price: float | None
    error_percent: float | None
    settled_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    id: int
    user_id: int
    name: str
    description: str | None
    parameters: Any
    is_active: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    id: int
    cryptocurrency_id: int
    strategy_id: int | None
    model_id: int | None
    prediction_id: int | None
    type: str
    confidence: float | None
    timestamp: datetime
    extra: Any
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    id: int
    cryptocurrency_id: int
    signal_id: int | None
    side: str
    price: Decimal
    quantity: Decimal
    status: str
    is_paper: bool
    pnl: Decimal | None
    timestamp: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentiment:
    id: int
    cryptocurrency_id: int
    source: str
    text: str | None
    score: float
    timestamp: datetime
    extra: Any
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    id: int
    type: str
    message: str
    is_read: bool
    timestamp: datetime
    created_at: datetime


Record: TypeAlias = Cryptocurrency | Candle | Model | Prediction | Strategy | Signal | Trade | Sentiment | Alert

# In the order of foreign keys. A value without an entry has a column with its own name.
TABLES: dict[type[Any], tuple[str, dict[str, str]]] = {
    Cryptocurrency: ("cryptocurrencies", {}),
    Candle: (
        "market_data",
        {
            "open_time": "timestamp",
            **{price: f"{price}_price" for price in ("open", "high", "low", "close")},
            "source": "data_source",
        },
    ),
    Model: ("models", {"type": "model_type", "trained_at": "trained_on", "extra": "extra_data"}),
    Prediction: (
        "predictions",
        {
            "predicted_at": "prediction_timestamp",
            "target_at": "target_timestamp",
            "confidence": "confidence_score",
            "features": "features_used",
            "error_percent": "error",
        },
    ),
    Strategy: ("trading_strategies", {"id": "strategy_id"}),
    Signal: ("signals", {"id": "signal_id", "type": "signal_type", "extra": "extra_data"}),
    Trade: ("trades", {"id": "trade_id", "side": "trade_type", "is_paper": "is_paper_trade"}),
    Sentiment: ("sentiment_data", {"id": "sentiment_id", "score": "sentiment_score", "extra": "extra_data"}),
    Alert: ("alerts", {"id": "alert_id", "type": "alert_type"}),
}
JSON_VALUES = {"extra", "features", "parameters"}
