from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from db.queries import models
from db.writes import models as writes
from graph.compiler.symbols import Row, Rows
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, mutation
from graph.types.models import Model
from graph.types.user_errors import Payload


@strawberry.input(description="A version of a model to register.")
class RegisterModelInput:
    name: str = strawberry.field(description="Its name: 1 to 100 characters.")
    version: str = strawberry.field(description="Its version: 1 to 50 characters, new for this name.")
    type: str | None = strawberry.field(default=None, description="What kind of model it is.")
    accuracy: float | None = strawberry.field(default=None, description="Share of directions called right: 0 to 1.")
    precision: float | None = strawberry.field(default=None, description="True positives among its positives: 0 to 1.")
    recall: float | None = strawberry.field(default=None, description="True positives that it found: 0 to 1.")
    auc: float | None = strawberry.field(default=None, description="Area under the ROC curve: 0 to 1.")
    trained_at: datetime | None = strawberry.field(default=None, description="When it was trained.")
    extra: JSON | None = strawberry.field(default=None, description="What its maker notes beside it: an object.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of registerModel.")
class RegisterModelPayload(Payload):
    model_id: strawberry.Private[int | None] = None

    @relation(Model | None, "The new version.")
    def model(self: Row) -> Rows:
        return models.by_id(self.model_id)


@mutation("Register a version of a model.")
async def register_model(writing: Writing, given: RegisterModelInput) -> RegisterModelPayload:
    key = await writes.register(
        writing.connection,
        name=given.name,
        version=given.version,
        type=given.type,
        accuracy=given.accuracy,
        precision=given.precision,
        recall=given.recall,
        auc=given.auc,
        trained_at=given.trained_at,
        extra=given.extra,
    )
    return RegisterModelPayload(model_id=key)
