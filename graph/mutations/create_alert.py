from datetime import UTC, datetime

import strawberry

from db.queries import alerts
from db.writes import alerts as writes
from db.writes.validation import validation_error
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import relation
from graph.identity.scopes import Scope
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, mutation
from graph.types.alerts import Alert, AlertType
from graph.types.user_errors import Payload


@strawberry.input(description="An alert to raise.")
class CreateAlertInput:
    type: AlertType = strawberry.field(description="What it is about.")
    message: str = strawberry.field(description="What happened, in words: 1 to 2,000 characters.")
    timestamp: datetime | None = strawberry.field(default=None, description="When it happened: now by default.")
    for_everyone: bool = strawberry.field(
        default=False, description="For all who are signed in, instead of you alone; that needs the scope ADMIN."
    )
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of createAlert.")
class CreateAlertPayload(Payload):
    alert_id: strawberry.Private[int | None] = None

    @relation(Alert | None, "The new alert.")
    def alert(self: Row, info: Info) -> Rows:
        return alerts.by_id(info.context.viewer, self.alert_id)


@mutation("Raise an alert, for you or for everyone.", as_viewer=True)
async def create_alert(writing: Writing, given: CreateAlertInput) -> CreateAlertPayload:
    if given.for_everyone and not writing.caller.may(Scope.ADMIN):
        raise validation_error("FORBIDDEN", "for_everyone", "An alert for everyone needs the scope ADMIN.")
    key = await writes.create(
        writing.connection,
        None if given.for_everyone else await writing.owner(),
        message=given.message,
        type=given.type.name,
        timestamp=given.timestamp or datetime.now(UTC),
    )
    return CreateAlertPayload(alert_id=key)
