"""The mutation createAlert."""

from datetime import UTC, datetime

import strawberry

from db.queries import alerts
from db.writes import alerts as writes
from db.writes.validation import validation_error
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import relation
from graph.identity.scopes import Scope
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation
from graph.types.alerts import Alert, AlertType
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `createAlert`.")
class CreateAlertInput:
    type: AlertType = strawberry.field(description="Subject of the alert.")
    message: str = strawberry.field(description="Text of the alert: 1 to 2,000 characters.")
    timestamp: datetime | None = strawberry.field(default=None, description="Time of the event: now by default.")
    for_everyone: bool = strawberry.field(
        default=False,
        description="true: all signed-in users see the alert, not only you. This needs the scope ADMIN.",
    )
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `createAlert`.")
class CreateAlertPayload(Payload):
    alert_id: strawberry.Private[int | None] = None

    @relation(Alert | None, "The new alert; null if there are userErrors.")
    def alert(self: Row, info: Info) -> Rows:
        return alerts.by_id(info.context.viewer, self.alert_id)


@mutation("Create an alert for yourself or, with the scope ADMIN, for all users.", enforce_rls=True)
async def create_alert(context: MutationContext, input_: CreateAlertInput) -> CreateAlertPayload:
    if input_.for_everyone and not context.caller.may(Scope.ADMIN):
        raise validation_error("FORBIDDEN", "for_everyone", "An alert for everyone needs the scope ADMIN.")
    key = await writes.create(
        context.connection,
        None if input_.for_everyone else await context.owner_id(),
        message=input_.message,
        type=input_.type.name,
        timestamp=input_.timestamp or datetime.now(UTC),
    )
    return CreateAlertPayload(alert_id=key)
