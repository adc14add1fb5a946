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
    description="A way of turning predictions into signals and trades.", directives=cached_private(Tier.MEDIUM)
)
class Strategy(Node):
    name: str = strawberry.field(description="Its name.")
    description: str | None = strawberry.field(description="What it does, in words.")
    parameters: JSON = strawberry.field(description="What it was set to.")
    is_active: bool = strawberry.field(description="Whether it gives signals now.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @connection(Signal, "Signals that it gave, newest first.")
    def signals(self: Row, info: Info, filter_: SignalFilterArgument = None) -> Listing:
        return signals.listing(info.context.viewer, of_strategy=self.id, **criteria_of(filter_))

    @connection(Trade, "Trades that follow its signals, newest first.")
    def trades(self: Row, info: Info, filter_: TradeFilterArgument = None) -> Listing:
        return trades.listing(info.context.viewer, of_strategy=self.id, **criteria_of(filter_))
