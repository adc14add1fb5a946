"""The mutation updateStrategy."""

from typing import Any

import strawberry
from strawberry.scalars import JSON

from db.queries import strategies
from db.writes import strategies as writes
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation, provided_values
from graph.types.strategies import Strategy
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `updateStrategy`. Fields that are left out keep their values.")
class UpdateStrategyInput:
    id: strawberry.ID = strawberry.field(description="Global id of the strategy to change.")
    name: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="New name, unique among the strategies of its user: 1 to 100 characters; null is an error.",
    )
    description: str | None = strawberry.field(
        default=strawberry.UNSET, description="New description: 1 to 10,000 characters; null removes it."
    )
    parameters: JSON | None = strawberry.field(
        default=strawberry.UNSET,
        description="New settings, which replace all old ones: an object of at most 65,536 characters in JSON; null is "
        "an error.",
    )
    is_active: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether the strategy is in use; null is an error."
    )
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `updateStrategy`.")
class UpdateStrategyPayload(Payload):
    strategy_id: strawberry.Private[int | None] = None

    @relation(Strategy | None, "The strategy after the change; null if there are userErrors.")
    def strategy(self: Row, info: Info) -> Rows:
        return strategies.by_id(info.context.viewer, self.strategy_id)


@mutation("Change one of your strategies.", enforce_rls=True)
async def update_strategy(context: MutationContext, input_: UpdateStrategyInput) -> UpdateStrategyPayload:
    changes = provided_values(input_, "name", "description", "parameters", "is_active", nullable={"description"})
    key: Any = primary_key("Strategy", input_.id, ["id"])
    return UpdateStrategyPayload(strategy_id=await writes.change(context.connection, context.viewer, key, changes))
