"""The Signal type and its filter."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry.scalars import JSON

from cache.tiers import Tier
from db.queries import cryptocurrencies, models, predictions, strategies, trades
from db.queries.listings import Listing
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import Node, TimeRange, cached_private, primary_key, relation, time_span
from graph.pagination import connection
from graph.types.trades import Trade

if TYPE_CHECKING:
    from graph.types.cryptocurrencies import Cryptocurrency
    from graph.types.models import Model
    from graph.types.predictions import Prediction
    from graph.types.strategies import Strategy


@strawberry.enum(description="Advice of a signal.")
class SignalType(Enum):
    BUY = strawberry.enum_value("BUY", description="Buy the coin.")
    SELL = strawberry.enum_value("SELL", description="Sell the coin.")
    HOLD = strawberry.enum_value("HOLD", description="Neither buy nor sell.")


@strawberry.input(description="Conditions on signals. A signal must meet all that are set.")
class SignalFilter:
    symbol: str | None = strawberry.field(
        default=None, description="Only signals for the coin with this symbol, such as BTC; case does not matter."
    )
    types: list[SignalType] | None = strawberry.field(default=None, description="Only signals of these types.")
    strategy_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only signals of the strategy with this global id."
    )
    min_confidence: float | None = strawberry.field(
        default=None, description="Only signals with at least this confidence, 0 to 1."
    )
    timestamp: TimeRange | None = strawberry.field(
        default=None, description="Only signals whose timestamp is in this range."
    )

    def criteria(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "types": self.types and [type_.name for type_ in self.types],
            "strategy_id": primary_key("Strategy", self.strategy_id, ["filter", "strategyId"]),
            "min_confidence": self.min_confidence,
            "timestamp": time_span(self.timestamp, ["filter", "timestamp"]),
        }


SignalFilterArgument = Annotated[
    SignalFilter | None, strawberry.argument(name="filter", description="Only signals that meet these conditions.")
]


@strawberry.type(description="Advice to buy, sell or hold a coin.", directives=cached_private(Tier.MEDIUM))
class Signal(Node):
    type: SignalType = strawberry.field(description="The advice.")
    confidence: float | None = strawberry.field(description="Confidence of the signal, 0 to 1; null: not set.")
    timestamp: datetime = strawberry.field(description="Time at which the signal was given.")
    extra: JSON | None = strawberry.field(
        description="Further data about the signal: an object with any fields; null: none."
    )
    created_at: datetime = strawberry.field(description="Time at which the signal was stored.")

    @relation(Annotated["Cryptocurrency", strawberry.lazy("graph.types.cryptocurrencies")], "Coin of the signal.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)

    @relation(
        Annotated["Strategy", strawberry.lazy("graph.types.strategies")] | None,
        "Strategy that gave the signal; null if there is none or the viewer may not see it.",
    )
    def strategy(self: Row, info: Info) -> Rows:
        return strategies.by_id(info.context.viewer, self.strategy_id)

    @relation(Annotated["Model", strawberry.lazy("graph.types.models")] | None, "Model behind the signal; null: none.")
    def model(self: Row) -> Rows:
        return models.by_id(self.model_id)

    @relation(
        Annotated["Prediction", strawberry.lazy("graph.types.predictions")] | None,
        "Prediction behind the signal; null: none.",
    )
    def prediction(self: Row) -> Rows:
        return predictions.by_id(self.prediction_id)

    @connection(Trade, "Trades based on this signal that the viewer may see, newest first.")
    def trades(self: Row, info: Info) -> Listing:
        return trades.listing(info.context.viewer, signal_id=self.id)
