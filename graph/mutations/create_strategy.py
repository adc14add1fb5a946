"""The mutation createStrategy."""

import strawberry
from strawberry.scalars import JSON

from db.queries import strategies
from db.writes import strategies as writes
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation
from graph.types.strategies import Strategy
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `createStrategy`.")
class CreateStrategyInput:
    name: str = strawberry.field(description="Name, unique among your strategies: 1 to 100 characters.")
    description: str | None = strawberry.field(
        default=None, description="Description for people: 1 to 10,000 characters."
    )
    parameters: JSON | None = strawberry.field(
        default=None,
        description="Settings of the strategy: an object of at most 65,536 characters in JSON; empty by default.",
    )
    is_active: bool = strawberry.field(default=True, description="Whether the strategy is in use.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `createStrategy`.")
class CreateStrategyPayload(Payload):
    strategy_id: strawberry.Private[int | None] = None

    @relation(Strategy | None, "The new strategy; null if there are userErrors.")
    def strategy(self: Row, info: Info) -> Rows:
        return strategies.by_id(info.context.viewer, self.strategy_id)


@mutation("Create a strategy. Only you and callers with the scope ADMIN can see it.", enforce_rls=True)
async def create_strategy(context: MutationContext, input_: CreateStrategyInput) -> CreateStrategyPayload:
    key = await writes.create(
        context.connection,
        await context.owner_id(),
        name=input_.name,
        description=input_.description,
        parameters={} if input_.parameters is None else input_.parameters,
        is_active=input_.is_active,
    )
    return CreateStrategyPayload(strategy_id=key)
