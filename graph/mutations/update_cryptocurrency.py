import strawberry

from db.queries import cryptocurrencies
from db.writes import cryptocurrencies as writes
from graph.compiler.symbols import Row, Rows
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, given_values, mutation
from graph.types.cryptocurrencies import Cryptocurrency
from graph.types.user_errors import Payload


@strawberry.input(description="What to change of a coin: what is left out stays as it is.")
class UpdateCryptocurrencyInput:
    symbol: str = strawberry.field(description="The symbol of the coin, in any case.")
    name: str | None = strawberry.field(default=strawberry.UNSET, description="Its name: 1 to 100 characters.")
    coin_gecko_id: str | None = strawberry.field(default=strawberry.UNSET, description="Its id at CoinGecko, or null.")
    is_active: bool | None = strawberry.field(default=strawberry.UNSET, description="False retires it.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of updateCryptocurrency.")
class UpdateCryptocurrencyPayload(Payload):
    cryptocurrency_id: strawberry.Private[int | None] = None

    @relation(Cryptocurrency | None, "The coin as it is now.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)


@mutation("Change a coin.")
async def update_cryptocurrency(writing: Writing, given: UpdateCryptocurrencyInput) -> UpdateCryptocurrencyPayload:
    changes = given_values(given, "name", "coin_gecko_id", "is_active", nullable={"coin_gecko_id"})
    key = await writes.change(writing.connection, given.symbol, changes)
    return UpdateCryptocurrencyPayload(cryptocurrency_id=key)
