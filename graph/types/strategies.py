"""The Strategy type."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from cache.tiers import Tier
from db.queries import signals, trades
from db.queries.listings import Listing
from graph.compiler.symbols import Row
from graph.context import Info
from graph.fields import Node, cached_private, criteria_of
from graph.pagination import connection
from graph.types.signals import Signal, SignalFilterArgument
from graph.types.trades import Trade, TradeFilterArgument


@strawberry.type(
    description="A set of rules that turns predictions into signals and trades.", directives=cached_private(Tier.MEDIUM)
)
class Strategy(Node):
    name: str = strawberry.field(description="Name, unique among the strategies of its user.")
    description: str | None = strawberry.field(description="Description for people; null: not set.")
    parameters: JSON = strawberry.field(description="Settings of the strategy: an object with any fields.")
    is_active: bool = strawberry.field(description="Whether the strategy is in use.")
    created_at: datetime = strawberry.field(description="Time at which the strategy was created.")
    updated_at: datetime = strawberry.field(description="Time of the last change of the strategy.")

    @connection(Signal, "Signals of this strategy, newest first.")
    def signals(self: Row, info: Info, filter_: SignalFilterArgument = None) -> Listing:
        return signals.listing(info.context.viewer, of_strategy=self.id, **criteria_of(filter_))

    @connection(Trade, "Trades based on signals of this strategy, newest first.")
    def trades(self: Row, info: Info, filter_: TradeFilterArgument = None) -> Listing:
        return trades.listing(info.context.viewer, of_strategy=self.id, **criteria_of(filter_))
