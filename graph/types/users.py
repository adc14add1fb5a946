"""The User type."""

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


@strawberry.type(description="An account of this server.", directives=cached_private(Tier.MEDIUM))
class User(Node):
    username: str = strawberry.field(description="User name, with which the user signs in.")
    email: str | None = strawberry.field(description="Email address; null: not set.")
    is_active: bool = strawberry.field(description="false: the account is disabled and cannot sign in.")
    is_admin: bool = strawberry.field(
        description="Whether the user may have the scope ADMIN, and so read and change the data of other users."
    )
    created_at: datetime = strawberry.field(description="Time at which the account was created.")

    @connection(Strategy, "Strategies of the user, in the order of their creation.")
    def strategies(self: Row, info: Info) -> Listing:
        return strategies.listing(info.context.viewer, of_user=self.id)

    @connection(Signal, "Signals of the user.")
    def signals(
        self: Row, info: Info, filter_: SignalFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first, criteria = is_newest_first(order_by), criteria_of(filter_)
        return signals.listing(info.context.viewer, of_user=self.id, newest_first=newest_first, **criteria)

    @connection(Trade, "Trades of the user.")
    def trades(
        self: Row, info: Info, filter_: TradeFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first, criteria = is_newest_first(order_by), criteria_of(filter_)
        return trades.listing(info.context.viewer, of_user=self.id, newest_first=newest_first, **criteria)

    @connection(Alert, "Alerts for this user, and alerts for all users.")
    def alerts(
        self: Row, info: Info, filter_: AlertFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first, criteria = is_newest_first(order_by), criteria_of(filter_)
        return alerts.listing(info.context.viewer, of_user=self.id, newest_first=newest_first, **criteria)

    @connection(ApiKey, "API keys of the user, including expired and revoked ones, in the order of their creation.")
    def api_keys(self: Row, info: Info) -> Listing:
        return api_keys.listing(info.context.viewer, of_user=self.id)
