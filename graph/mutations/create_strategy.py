import strawberry
from strawberry.scalars import JSON

from db.queries import strategies
from db.writes import strategies as writes
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, mutation
from graph.types.strategies import Strategy
from graph.types.user_errors import Payload


@strawberry.input(description="A strategy to create.")
class CreateStrategyInput:
    name: str = strawberry.field(description="Its name: yours alone, 1 to 100 characters.")
    description: str | None = strawberry.field(default=None, description="What it does, in words.")
    parameters: JSON | None = strawberry.field(default=None, description="What it is set to: an object.")
    is_active: bool = strawberry.field(default=True, description="Whether it gives signals now.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of createStrategy.")
class CreateStrategyPayload(Payload):
    strategy_id: strawberry.Private[int | None] = None

    @relation(Strategy | None, "The new strategy.")
    def strategy(self: Row, info: Info) -> Rows:
        return strategies.by_id(info.context.viewer, self.strategy_id)


@mutation("Create a strategy, which is yours.", as_viewer=True)
async def create_strategy(writing: Writing, given: CreateStrategyInput) -> CreateStrategyPayload:
    key = await writes.create(
        writing.connection,
        await writing.owner(),
        name=given.name,
        description=given.description,
        parameters={} if given.parameters is None else given.parameters,
        is_active=given.is_active,
    )
    return CreateStrategyPayload(strategy_id=key)
