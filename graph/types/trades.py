from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from cache.tiers import Tier
from db.queries import cryptocurrencies, signals
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import Node, TimeRange, cached_private, primary_key, relation, resolved, time_span

if TYPE_CHECKING:
    from graph.types.cryptocurrencies import Cryptocurrency
    from graph.types.signals import Signal


@strawberry.enum(description="Which way a trade goes.")
class TradeSide(Enum):
    BUY = strawberry.enum_value("BUY", description="The coin is bought.")
    SELL = strawberry.enum_value("SELL", description="The coin is sold.")


@strawberry.enum(description="What became of a trade.")
class TradeStatus(Enum):
    PENDING = strawberry.enum_value("PENDING", description="Ordered, and not yet decided.")
    EXECUTED = strawberry.enum_value("EXECUTED", description="Done.")
    FAILED = strawberry.enum_value("FAILED", description="Not done, and it will not be.")


@strawberry.input(description="Narrows trades: a trade must meet everything that is given.")
class TradeFilter:
    symbol: str | None = strawberry.field(default=None, description="Of the coin with this symbol, in any case.")
    side: TradeSide | None = strawberry.field(default=None, description="Of this side.")
    status: TradeStatus | None = strawberry.field(default=None, description="Of this status.")
    is_paper: bool | None = strawberry.field(default=None, description="On paper, or with real money.")
    strategy_id: strawberry.ID | None = strawberry.field(default=None, description="From a signal of this strategy.")
    timestamp: TimeRange | None = strawberry.field(default=None, description="Made within this range.")

    def criteria(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "side": self.side and self.side.name,
            "status": self.status and self.status.name,
            "is_paper": self.is_paper,
            "strategy_id": primary_key("Strategy", self.strategy_id, ["filter", "strategyId"]),
            "timestamp": time_span(self.timestamp, ["filter", "timestamp"]),
        }


TradeFilterArgument = Annotated[
    TradeFilter | None, strawberry.argument(name="filter", description="Only the trades that meet it.")
]


@strawberry.type(
    description="A purchase or sale of a coin, on paper or with real money.", directives=cached_private(Tier.MEDIUM)
)
class Trade(Node):
    side: TradeSide = strawberry.field(description="Which way it goes.")
    price: Decimal = strawberry.field(description="The price of one unit of the coin.")
    quantity: Decimal = strawberry.field(description="Units of the coin.")
    status: TradeStatus = strawberry.field(description="What became of it.")
    is_paper: bool = strawberry.field(description="Whether it was made on paper only.")
    pnl: Decimal | None = strawberry.field(description="Realised profit or loss, after fees; null until it is known.")
    timestamp: datetime = strawberry.field(description="When it was made.")
    created_at: datetime = strawberry.field(description="When it was recorded.")

    @resolved(Decimal, "Price times quantity.")
    def value(self: Row) -> Any:
        return self.price * self.quantity

    @relation(Annotated["Cryptocurrency", strawberry.lazy("graph.types.cryptocurrencies")], "The coin that is traded.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)

    @relation(Annotated["Signal", strawberry.lazy("graph.types.signals")] | None, "The signal that it follows, if any.")
    def signal(self: Row, info: Info) -> Rows:
        return signals.by_id(info.context.viewer, self.signal_id)
