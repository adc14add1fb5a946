"""The mutation updateCryptocurrency."""

import strawberry

from db.queries import cryptocurrencies
from db.writes import cryptocurrencies as writes
from graph.compiler.symbols import Row, Rows
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation, provided_values
from graph.types.cryptocurrencies import Cryptocurrency
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `updateCryptocurrency`. Fields that are left out keep their values.")
class UpdateCryptocurrencyInput:
    symbol: str = strawberry.field(
        description="Symbol of the coin to change, such as BTC; case does not matter. The symbol itself cannot be "
        "changed."
    )
    name: str | None = strawberry.field(
        default=strawberry.UNSET, description="New name: 1 to 100 characters; null is an error."
    )
    coin_gecko_id: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="New id at CoinGecko: 1 to 100 characters, not taken by another coin; null removes it.",
    )
    is_active: bool | None = strawberry.field(
        default=strawberry.UNSET, description="false retires the coin; null is an error."
    )
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `updateCryptocurrency`.")
class UpdateCryptocurrencyPayload(Payload):
    cryptocurrency_id: strawberry.Private[int | None] = None

    @relation(Cryptocurrency | None, "The coin after the change; null if there are userErrors.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)


@mutation("Change the name, CoinGecko id or state of a coin.")
async def update_cryptocurrency(
    context: MutationContext, input_: UpdateCryptocurrencyInput
) -> UpdateCryptocurrencyPayload:
    changes = provided_values(input_, "name", "coin_gecko_id", "is_active", nullable={"coin_gecko_id"})
    key = await writes.change(context.connection, input_.symbol, changes)
    return UpdateCryptocurrencyPayload(cryptocurrency_id=key)
