"""The mutation addCryptocurrency."""

import strawberry

from db.queries import cryptocurrencies
from db.writes import cryptocurrencies as writes
from graph.compiler.symbols import Row, Rows
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation
from graph.types.candles import Interval
from graph.types.cryptocurrencies import Cryptocurrency
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `addCryptocurrency`.")
class AddCryptocurrencyInput:
    symbol: str = strawberry.field(
        description="Ticker symbol, such as BTC: 1 to 20 letters, digits, dots, hyphens or underscores, not taken by "
        "another coin. It is stored in capitals."
    )
    name: str = strawberry.field(description="Name, such as Bitcoin: 1 to 100 characters.")
    base_interval: Interval = strawberry.field(
        description="Length of the candles that will be stored. It cannot be changed. Longer candles are aggregated "
        "from the stored ones."
    )
    coin_gecko_id: str | None = strawberry.field(
        default=None,
        description='Id of the coin at CoinGecko, such as "bitcoin": 1 to 100 characters, not taken by another coin.',
    )
    is_active: bool = strawberry.field(default=True, description="false: the coin is retired already.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `addCryptocurrency`.")
class AddCryptocurrencyPayload(Payload):
    cryptocurrency_id: strawberry.Private[int | None] = None

    @relation(Cryptocurrency | None, "The new coin; null if there are userErrors.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)


@mutation("Add a coin, to which candles and predictions can then be recorded.")
async def add_cryptocurrency(context: MutationContext, input_: AddCryptocurrencyInput) -> AddCryptocurrencyPayload:
    key = await writes.add(
        context.connection,
        symbol=input_.symbol,
        name=input_.name,
        base_interval=input_.base_interval.name,
        coin_gecko_id=input_.coin_gecko_id,
        is_active=input_.is_active,
    )
    return AddCryptocurrencyPayload(cryptocurrency_id=key)
