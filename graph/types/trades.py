"""The Trade type and its filter."""

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


@strawberry.enum(description="Side of a trade.")
class TradeSide(Enum):
    BUY = strawberry.enum_value("BUY", description="The coin is bought.")
    SELL = strawberry.enum_value("SELL", description="The coin is sold.")


@strawberry.enum(description="State of a trade.")
class TradeStatus(Enum):
    PENDING = strawberry.enum_value("PENDING", description="The order is placed and neither executed nor failed yet.")
    EXECUTED = strawberry.enum_value("EXECUTED", description="The trade was made. This state is final.")
    FAILED = strawberry.enum_value("FAILED", description="The trade was not made. This state is final.")


@strawberry.input(description="Conditions on trades. A trade must meet all that are set.")
class TradeFilter:
    symbol: str | None = strawberry.field(
        default=None, description="Only trades of the coin with this symbol, such as BTC; case does not matter."
    )
    side: TradeSide | None = strawberry.field(default=None, description="Only trades on this side.")
    status: TradeStatus | None = strawberry.field(default=None, description="Only trades in this state.")
    is_paper: bool | None = strawberry.field(
        default=None, description="true: only paper trades; false: only trades with real money."
    )
    strategy_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only trades based on a signal of the strategy with this global id."
    )
    timestamp: TimeRange | None = strawberry.field(
        default=None, description="Only trades whose timestamp is in this range."
    )

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
    TradeFilter | None, strawberry.argument(name="filter", description="Only trades that meet these conditions.")
]


@strawberry.type(
    description="A purchase or sale of a coin, simulated (on paper) or with real money.",
    directives=cached_private(Tier.MEDIUM),
)
class Trade(Node):
    side: TradeSide = strawberry.field(description="Whether the coin is bought or sold.")
    price: Decimal = strawberry.field(description='Price of one unit of the coin, such as "65000.5".')
    quantity: Decimal = strawberry.field(description='Traded units of the coin, such as "0.25".')
    status: TradeStatus = strawberry.field(description="State of the trade.")
    is_paper: bool = strawberry.field(description="true: a paper trade, without real money.")
    pnl: Decimal | None = strawberry.field(
        description="Realized profit (positive) or loss (negative) after fees, in the currency of the price; null: not "
        "known yet."
    )
    timestamp: datetime = strawberry.field(description="Time of the trade.")
    created_at: datetime = strawberry.field(description="Time at which the trade was stored.")

    @resolved(Decimal, "Price times quantity, in the currency of the price.")
    def value(self: Row) -> Any:
        return self.price * self.quantity

    @relation(Annotated["Cryptocurrency", strawberry.lazy("graph.types.cryptocurrencies")], "Coin that is traded.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)

    @relation(
        Annotated["Signal", strawberry.lazy("graph.types.signals")] | None,
        "Signal on which the trade is based; null if there is none or the viewer may not see it.",
    )
    def signal(self: Row, info: Info) -> Rows:
        return signals.by_id(info.context.viewer, self.signal_id)
