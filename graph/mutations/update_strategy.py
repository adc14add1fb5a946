from typing import Any

import strawberry
from strawberry.scalars import JSON

from db.queries import strategies
from db.writes import strategies as writes
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, given_values, mutation
from graph.types.strategies import Strategy
from graph.types.user_errors import Payload


@strawberry.input(description="What to change of a strategy: what is left out stays as it is.")
class UpdateStrategyInput:
    id: strawberry.ID = strawberry.field(description="The strategy's id.")
    name: str | None = strawberry.field(default=strawberry.UNSET, description="Its name: 1 to 100 characters.")
    description: str | None = strawberry.field(default=strawberry.UNSET, description="What it does, or null.")
    parameters: JSON | None = strawberry.field(default=strawberry.UNSET, description="What it is set to: an object.")
    is_active: bool | None = strawberry.field(default=strawberry.UNSET, description="Whether it gives signals now.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of updateStrategy.")
class UpdateStrategyPayload(Payload):
    strategy_id: strawberry.Private[int | None] = None

    @relation(Strategy | None, "The strategy as it is now.")
    def strategy(self: Row, info: Info) -> Rows:
        return strategies.by_id(info.context.viewer, self.strategy_id)


@mutation("Change a strategy of yours.", as_viewer=True)
async def update_strategy(writing: Writing, given: UpdateStrategyInput) -> UpdateStrategyPayload:
    changes = given_values(given, "name", "description", "parameters", "is_active", nullable={"description"})
    key: Any = primary_key("Strategy", given.id, ["id"])
    return UpdateStrategyPayload(strategy_id=await writes.change(writing.connection, writing.viewer, key, changes))
