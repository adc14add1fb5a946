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


@strawberry.enum(description="What a signal advises.")
class SignalType(Enum):
    BUY = strawberry.enum_value("BUY", description="Buy the coin.")
    SELL = strawberry.enum_value("SELL", description="Sell the coin.")
    HOLD = strawberry.enum_value("HOLD", description="Do nothing.")


@strawberry.input(description="Narrows signals: a signal must meet everything that is given.")
class SignalFilter:
    symbol: str | None = strawberry.field(default=None, description="Of the coin with this symbol, in any case.")
    types: list[SignalType] | None = strawberry.field(default=None, description="Of one of these types.")
    strategy_id: strawberry.ID | None = strawberry.field(default=None, description="Of this strategy.")
    min_confidence: float | None = strawberry.field(default=None, description="At least this confident: 0 to 1.")
    timestamp: TimeRange | None = strawberry.field(default=None, description="Given within this range.")

    def criteria(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "types": self.types and [type_.name for type_ in self.types],
            "strategy_id": primary_key("Strategy", self.strategy_id, ["filter", "strategyId"]),
            "min_confidence": self.min_confidence,
            "timestamp": time_span(self.timestamp, ["filter", "timestamp"]),
        }


SignalFilterArgument = Annotated[
    SignalFilter | None, strawberry.argument(name="filter", description="Only the signals that meet it.")
]


@strawberry.type(description="Advice to buy, sell or hold a coin.", directives=cached_private(Tier.MEDIUM))
class Signal(Node):
    type: SignalType = strawberry.field(description="What it advises.")
    confidence: float | None = strawberry.field(description="How sure it is: 0 to 1.")
    timestamp: datetime = strawberry.field(description="When it was given.")
    extra: JSON | None = strawberry.field(description="What its maker noted beside it.")
    created_at: datetime = strawberry.field(description="When it was recorded.")

    @relation(
        Annotated["Cryptocurrency", strawberry.lazy("graph.types.cryptocurrencies")], "The coin that it is about."
    )
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)

    @relation(
        Annotated["Strategy", strawberry.lazy("graph.types.strategies")] | None, "The strategy that gave it, if any."
    )
    def strategy(self: Row, info: Info) -> Rows:
        return strategies.by_id(info.context.viewer, self.strategy_id)

    @relation(Annotated["Model", strawberry.lazy("graph.types.models")] | None, "The model behind it, if any.")
    def model(self: Row) -> Rows:
        return models.by_id(self.model_id)

    @relation(
        Annotated["Prediction", strawberry.lazy("graph.types.predictions")] | None, "The prediction behind it, if any."
    )
    def prediction(self: Row) -> Rows:
        return predictions.by_id(self.prediction_id)

    @connection(Trade, "Trades that follow this signal, newest first.")
    def trades(self: Row, info: Info) -> Listing:
        return trades.listing(info.context.viewer, signal_id=self.id)
