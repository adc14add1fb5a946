"""The mutation registerModel."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from db.queries import models
from db.writes import models as writes
from graph.compiler.symbols import Row, Rows
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation
from graph.types.models import Model
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `registerModel`.")
class RegisterModelInput:
    name: str = strawberry.field(description="Name of the model: 1 to 100 characters.")
    version: str = strawberry.field(
        description="Version of the model: 1 to 50 characters, not registered yet for this name."
    )
    type: str | None = strawberry.field(
        default=None, description='Kind of model, such as "ensemble": 1 to 50 characters.'
    )
    accuracy: float | None = strawberry.field(
        default=None, description="Share of correctly predicted directions in testing: 0 to 1."
    )
    precision: float | None = strawberry.field(
        default=None, description="True positives divided by predicted positives in testing: 0 to 1."
    )
    recall: float | None = strawberry.field(
        default=None, description="True positives divided by actual positives in testing: 0 to 1."
    )
    auc: float | None = strawberry.field(default=None, description="Area under the ROC curve in testing: 0 to 1.")
    trained_at: datetime | None = strawberry.field(default=None, description="Time at which the model was trained.")
    extra: JSON | None = strawberry.field(
        default=None, description="Further data about the model: an object of at most 65,536 characters in JSON."
    )
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `registerModel`.")
class RegisterModelPayload(Payload):
    model_id: strawberry.Private[int | None] = None

    @relation(Model | None, "The new version; null if there are userErrors.")
    def model(self: Row) -> Rows:
        return models.by_id(self.model_id)


@mutation("Register a version of a prediction model.")
async def register_model(context: MutationContext, input_: RegisterModelInput) -> RegisterModelPayload:
    key = await writes.register(
        context.connection,
        name=input_.name,
        version=input_.version,
        type=input_.type,
        accuracy=input_.accuracy,
        precision=input_.precision,
        recall=input_.recall,
        auc=input_.auc,
        trained_at=input_.trained_at,
        extra=input_.extra,
    )
    return RegisterModelPayload(model_id=key)
