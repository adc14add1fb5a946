from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry.scalars import JSON

from cache.tiers import Tier
from db.queries import cryptocurrencies, models, predictions, signals
from db.queries.listings import Listing
from graph.compiler.symbols import Part, Row, Rows
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
        "PENDING", description="The target time has not been reached, or its candle is not stored yet."
    )
    SETTLED = strawberry.enum_value("SETTLED", description="The actual price is known.")
    VOID = strawberry.enum_value(
        "VOID",
        description="It can never be known: the target time has passed, and the candle is final and missing.",
    )


@strawberry.input(description="Narrows predictions: a prediction must meet everything that is given.")
class PredictionFilter:
    symbol: str | None = strawberry.field(default=None, description="Of the coin with this symbol, in any case.")
    model_name: str | None = strawberry.field(default=None, description="Of a model with this name.")
    model_version: str | None = strawberry.field(default=None, description="Of a model with this version.")
    status: PredictionStatus | None = strawberry.field(default=None, description="Of this status.")
    min_confidence: float | None = strawberry.field(default=None, description="At least this confident: 0 to 1.")
    predicted_at: TimeRange | None = strawberry.field(default=None, description="Made within this range.")
    target_at: TimeRange | None = strawberry.field(default=None, description="About a time within this range.")

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
    PredictionFilter | None, strawberry.argument(name="filter", description="Only the predictions that meet it.")
]


@strawberry.type(description="What became of a prediction.")
class PredictionActual:
    error_percent: float = strawberry.field(description="100 * error / actual price.")
    settled_at: datetime = strawberry.field(description="When the actual price was filled in.")

    @resolved(float, "The close of the last base candle that had closed at the target time.")
    def price(self: Row) -> Any:
        return self.actual_price

    @resolved(float, "Predicted price minus actual price.")
    def error(self: Row) -> Any:
        return self.predicted_price - self.actual_price

    @resolved(
        bool | None,
        "Whether the price moved the predicted way from the last close known when the prediction was made; "
        "null if either move is zero or that close is missing.",
    )
    def direction_correct(self: Row) -> Any:
        return predictions.direction_correct(self)


@strawberry.type(description="A model's forecast of a coin's price at a later time.", directives=cached(Tier.MEDIUM))
class Prediction(Node):
    predicted_at: datetime = strawberry.field(description="When it was made.")
    target_at: datetime = strawberry.field(description="The time that it is about.")
    predicted_price: float = strawberry.field(description="The forecast.")
    confidence: float | None = strawberry.field(description="How sure the model is: 0 to 1.")
    features: JSON | None = strawberry.field(description="What the model looked at.")
    created_at: datetime = strawberry.field(description="When it was recorded.")

    @relation(
        Annotated["Cryptocurrency", strawberry.lazy("graph.types.cryptocurrencies")], "The coin that it is about."
    )
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)

    @relation(Annotated["Model", strawberry.lazy("graph.types.models")], "The model that made it.")
    def model(self: Row) -> Rows:
        return models.by_id(self.model_id)

    @resolved(str, "The name of the model that made it.")
    def model_name(self: Row) -> Any:
        return models.name_of(self.model_id)

    @resolved(str, "The version of the model that made it.")
    def model_version(self: Row) -> Any:
        return models.version_of(self.model_id)

    @resolved(PredictionStatus, "Whether its outcome is known.", tier=Tier.SHORT)
    def status(self: Row) -> Any:
        return predictions.status_of(self)

    @relation(PredictionActual | None, "Its outcome; null until it is settled.")
    def actual(self: Row) -> Part:
        return Part(self, exists=self.actual_price.is_not(None))

    @connection(Signal, "Signals that follow from it, newest first.")
    def signals(self: Row, info: Info) -> Listing:
        return signals.listing(info.context.viewer, prediction_id=self.id)
