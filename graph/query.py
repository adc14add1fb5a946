"""The root fields of queries."""

from typing import Annotated, Any

import strawberry

from db.queries import alerts, cryptocurrencies, models, predictions, signals, strategies, trades, users
from db.queries.listings import Listing
from graph.compiler.cost import Arguments, Weight
from graph.compiler.symbols import Rows, Variants
from graph.context import Info
from graph.errors import InputError
from graph.fields import MAX_IDS, Node, criteria_of, relation, resolved
from graph.pagination import Order, TimeOrder, connection, is_newest_first
from graph.types.alerts import Alert, AlertFilterArgument
from graph.types.cryptocurrencies import Cryptocurrency, CryptocurrencyFilter
from graph.types.health import Health, probe_health
from graph.types.models import Model
from graph.types.nodes import nodes
from graph.types.predictions import Prediction, PredictionFilterArgument
from graph.types.rate_limits import RateLimit, current_rate_limit
from graph.types.signals import Signal, SignalFilterArgument
from graph.types.strategies import Strategy
from graph.types.trades import Trade, TradeFilterArgument
from graph.types.users import User


def _number_of_ids(arguments: Arguments) -> float:
    ids = arguments.get("ids")
    return min(len(ids), MAX_IDS) if isinstance(ids, list) else 1


IDS = Weight(size=_number_of_ids)
# health probes the database and Redis.
HEALTH = Weight(own=10)

Symbol = Annotated[str, strawberry.argument(description="A ticker symbol, such as `BTC`, in upper or lower case.")]
GlobalId = Annotated[strawberry.ID, strawberry.argument(name="id", description="A global id, from an `id` field.")]
GlobalIds = Annotated[
    list[strawberry.ID], strawberry.argument(description=f"Global ids, from `id` fields: at most {MAX_IDS}.")
]
CryptocurrencyFilterArgument = Annotated[
    CryptocurrencyFilter | None, strawberry.argument(name="filter", description="Only coins that match the filter.")
]


@strawberry.type(description="The root of all queries.")
class Query:
    @relation(Cryptocurrency | None, "The coin with this symbol; null if there is none.")
    def cryptocurrency(self, symbol: Symbol) -> Rows:
        return cryptocurrencies.by_symbol(symbol)

    @connection(Cryptocurrency, "Coins, in the order in which they were added.")
    def cryptocurrencies(self, filter_: CryptocurrencyFilterArgument = None) -> Listing:
        return cryptocurrencies.listing(**criteria_of(filter_))

    @connection(Prediction, "Predictions of all models, for all coins.")
    def predictions(
        self, filter_: PredictionFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        return predictions.listing(newest_first=is_newest_first(order_by), **criteria_of(filter_))

    @connection(Signal, "Signals for all coins that the viewer may see.")
    def signals(
        self, info: Info, filter_: SignalFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        return signals.listing(info.context.viewer, newest_first=is_newest_first(order_by), **criteria_of(filter_))

    @connection(Trade, "Trades in all coins that the viewer may see.")
    def trades(
        self, info: Info, filter_: TradeFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        return trades.listing(info.context.viewer, newest_first=is_newest_first(order_by), **criteria_of(filter_))

    @connection(Alert, "Alerts that the viewer may see.")
    def alerts(
        self, info: Info, filter_: AlertFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        return alerts.listing(info.context.viewer, newest_first=is_newest_first(order_by), **criteria_of(filter_))

    @connection(Strategy, "Trading strategies that the viewer may see, in the order in which they were created.")
    def strategies(self, info: Info) -> Listing:
        return strategies.listing(info.context.viewer)

    @connection(Model, "Prediction models, in the order in which they were registered.")
    def models(self) -> Listing:
        return models.listing()

    @relation(Model | None, "The version of a model; null if there is none.")
    def model(
        self,
        name: Annotated[str, strawberry.argument(description="The model's name.")],
        version: Annotated[str, strawberry.argument(description="The model's version.")],
    ) -> Rows:
        return models.by_name(name, version)

    @relation(Node | None, "The object with this global id; null if there is none.")
    def node(self, info: Info, id_: GlobalId) -> Variants:
        return nodes(info.context.viewer, [id_], "id")

    @relation(
        list[Node | None],
        "The objects with these global ids, in the order of the ids; null for an id without an object.",
        weight=IDS,
    )
    def nodes(self, info: Info, ids: GlobalIds) -> Variants:
        if len(ids) > MAX_IDS:
            raise InputError("TOO_MANY_IDS", f"At most {MAX_IDS} ids at a time, not {len(ids)}.", ["ids"])
        return nodes(info.context.viewer, ids, "ids")

    @relation(User | None, "The signed-in user; null for an anonymous request.")
    def viewer(self, info: Info) -> Rows:
        return users.by_id(info.context.viewer, info.context.viewer_id)

    @resolved(RateLimit | None, "The points that the caller may spend; null if its requests are not limited.")
    async def rate_limit(self, info: Info) -> Any:
        return await current_rate_limit(info.context)

    @resolved(Health, "The state of the server, its database, its cache and its data.", weight=HEALTH)
    async def health(self, info: Info) -> Any:
        return await probe_health(info.context)
