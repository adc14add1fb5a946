"""Predictions: the type, its status and outcome, and its filter."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry.scalars import JSON

from cache.tiers import Tier
from db.queries import cryptocurrencies, models, predictions, signals
from db.queries.listings import Listing
from graph.compiler.symbols import EmbeddedObject, Row, Rows
from graph.context import Info
from graph.fields import Node, TimeRange, cached, relation, resolved, time_span
from graph.pagination import connection
from graph.types.signals import Signal

if TYPE_CHECKING:
    from graph.types.cryptocurrencies import Cryptocurrency
    from graph.types.models import Model


@strawberry.enum(description="Whether the outcome of a prediction is known.")
class PredictionStatus(Enum):
    PENDING = strawberry.enum_value(
        "PENDING", description="The target time is in the future, or the candle that decides it is not stored yet."
    )
    SETTLED = strawberry.enum_value("SETTLED", description="The actual price is known: see `actual`.")
    VOID = strawberry.enum_value(
        "VOID",
        description="The actual price will not become known: the target time has passed and later candles are stored, "
        "but the one that decides it is missing.",
    )


@strawberry.input(description="Conditions on predictions. A prediction must meet all that are set.")
class PredictionFilter:
    symbol: str | None = strawberry.field(
        default=None, description="Only predictions for the coin with this symbol, such as BTC; case does not matter."
    )
    model_name: str | None = strawberry.field(default=None, description="Only predictions of models with this name.")
    model_version: str | None = strawberry.field(
        default=None, description="Only predictions of models with this version."
    )
    status: PredictionStatus | None = strawberry.field(default=None, description="Only predictions with this status.")
    min_confidence: float | None = strawberry.field(
        default=None, description="Only predictions with at least this confidence, 0 to 1."
    )
    predicted_at: TimeRange | None = strawberry.field(
        default=None, description="Only predictions that were made in this range."
    )
    target_at: TimeRange | None = strawberry.field(
        default=None, description="Only predictions whose target time is in this range."
    )

    def criteria(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "model": (self.model_name, self.model_version),
            "status": self.status and self.status.name,
            "min_confidence": self.min_confidence,
            "predicted_at": time_span(self.predicted_at, ["filter", "predictedAt"]),
            "target_at": time_span(self.target_at, ["filter", "targetAt"]),
        }


PredictionFilterArgument = Annotated[
    PredictionFilter | None,
    strawberry.argument(name="filter", description="Only predictions that meet these conditions."),
]


@strawberry.type(description="Outcome of a settled prediction.")
class PredictionActual:
    error_percent: float = strawberry.field(
        description="100 * error / price, in percent; positive if the predicted price was too high."
    )
    settled_at: datetime = strawberry.field(description="Time at which the actual price was last written.")

    @resolved(
        float, "Actual price: the close of the last candle of length baseInterval that had closed by the target time."
    )
    def price(self: Row) -> Any:
        return self.actual_price

    @resolved(float, "Predicted price minus actual price, in the currency of the price.")
    def error(self: Row) -> Any:
        return self.predicted_price - self.actual_price

    @resolved(
        bool | None,
        "Whether the price moved in the predicted direction, from the last close before the prediction was made; "
        "null if one of the two moves is zero or that close is not stored.",
    )
    def direction_correct(self: Row) -> Any:
        return predictions.direction_correct(self)


@strawberry.type(description="A model's forecast of a coin's price at a later time.", directives=cached(Tier.MEDIUM))
class Prediction(Node):
    predicted_at: datetime = strawberry.field(description="Time at which the prediction was made.")
    target_at: datetime = strawberry.field(description="Time for which the price is predicted.")
    predicted_price: float = strawberry.field(
        description="Predicted price of one unit of the coin, in the currency of its candles."
    )
    confidence: float | None = strawberry.field(description="Confidence of the model, 0 to 1; null: not set.")
    features: JSON | None = strawberry.field(
        description="Input values of the model: an object with any fields; null: not set."
    )
    created_at: datetime = strawberry.field(description="Time at which the prediction was stored.")

    @relation(Annotated["Cryptocurrency", strawberry.lazy("graph.types.cryptocurrencies")], "Coin of the prediction.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)

    @relation(Annotated["Model", strawberry.lazy("graph.types.models")], "Model that made the prediction.")
    def model(self: Row) -> Rows:
        return models.by_id(self.model_id)

    @resolved(str, "Name of the model that made the prediction.")
    def model_name(self: Row) -> Any:
        return models.name_of(self.model_id)

    @resolved(str, "Version of the model that made the prediction.")
    def model_version(self: Row) -> Any:
        return models.version_of(self.model_id)

    @resolved(PredictionStatus, "Whether the outcome is known.", tier=Tier.SHORT)
    def status(self: Row) -> Any:
        return predictions.status_of(self)

    @relation(PredictionActual | None, "Outcome; null unless the status is SETTLED.")
    def actual(self: Row) -> EmbeddedObject:
        return EmbeddedObject(self, exists=self.actual_price.is_not(None))

    @connection(Signal, "Signals based on this prediction that the viewer may see, newest first.")
    def signals(self: Row, info: Info) -> Listing:
        return signals.listing(info.context.viewer, prediction_id=self.id)
