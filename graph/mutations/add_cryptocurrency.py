import strawberry

from db.queries import cryptocurrencies
from db.writes import cryptocurrencies as writes
from graph.compiler.symbols import Row, Rows
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, mutation
from graph.types.candles import Interval
from graph.types.cryptocurrencies import Cryptocurrency
from graph.types.user_errors import Payload


@strawberry.input(description="A coin to add.")
class AddCryptocurrencyInput:
    symbol: str = strawberry.field(
        description="Its ticker symbol, such as BTC, in any case: 1 to 20 letters, digits, dots, hyphens, underscores."
    )
    name: str = strawberry.field(description="Its name, such as Bitcoin: 1 to 100 characters.")
    base_interval: Interval = strawberry.field(
        description="The length of the candles that will be stored. It stays: longer ones are put together from them."
    )
    coin_gecko_id: str | None = strawberry.field(default=None, description="Its id at CoinGecko.")
    is_active: bool = strawberry.field(default=True, description="False for one that is retired already.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of addCryptocurrency.")
class AddCryptocurrencyPayload(Payload):
    cryptocurrency_id: strawberry.Private[int | None] = None

    @relation(Cryptocurrency | None, "The new coin.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)


@mutation("Add a coin.")
async def add_cryptocurrency(writing: Writing, given: AddCryptocurrencyInput) -> AddCryptocurrencyPayload:
    key = await writes.add(
        writing.connection,
        symbol=given.symbol,
        name=given.name,
        base_interval=given.base_interval.name,
        coin_gecko_id=given.coin_gecko_id,
        is_active=given.is_active,
    )
    return AddCryptocurrencyPayload(cryptocurrency_id=key)
