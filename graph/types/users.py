from datetime import datetime

import strawberry

from cache.tiers import Tier
from db.queries import alerts, api_keys, signals, strategies, trades
from db.queries.listings import Listing
from graph.compiler.symbols import Row
from graph.context import Info
from graph.fields import Node, cached_private, criteria_of
from graph.pagination import Order, TimeOrder, connection, is_newest_first
from graph.types.alerts import Alert, AlertFilterArgument
from graph.types.api_keys import ApiKey
from graph.types.signals import Signal, SignalFilterArgument
from graph.types.strategies import Strategy
from graph.types.trades import Trade, TradeFilterArgument


@strawberry.type(description="Somebody who may sign in.", directives=cached_private(Tier.MEDIUM))
class User(Node):
    username: str = strawberry.field(description="The name to sign in with.")
    email: str | None = strawberry.field(description="Where to write to.")
    is_active: bool = strawberry.field(description="False for somebody who may not sign in any more.")
    is_admin: bool = strawberry.field(description="Whether they may see and change what belongs to others.")
    created_at: datetime = strawberry.field(description="When they were added.")

    @connection(Strategy, "Their strategies, in the order in which they were created.")
    def strategies(self: Row, info: Info) -> Listing:
        return strategies.listing(info.context.viewer, of_user=self.id)

    @connection(Signal, "Their signals.")
    def signals(
        self: Row, info: Info, filter_: SignalFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first, criteria = is_newest_first(order_by), criteria_of(filter_)
        return signals.listing(info.context.viewer, of_user=self.id, newest_first=newest_first, **criteria)

    @connection(Trade, "Their trades.")
    def trades(
        self: Row, info: Info, filter_: TradeFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first, criteria = is_newest_first(order_by), criteria_of(filter_)
        return trades.listing(info.context.viewer, of_user=self.id, newest_first=newest_first, **criteria)

    @connection(Alert, "Alerts for them, and those for everyone.")
    def alerts(
        self: Row, info: Info, filter_: AlertFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first, criteria = is_newest_first(order_by), criteria_of(filter_)
        return alerts.listing(info.context.viewer, of_user=self.id, newest_first=newest_first, **criteria)

    @connection(ApiKey, "Their API keys, revoked ones too, in the order in which they were made.")
    def api_keys(self: Row, info: Info) -> Listing:
        return api_keys.listing(info.context.viewer, of_user=self.id)
