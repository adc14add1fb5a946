"""The mutation markAlertsRead."""

from datetime import datetime
from typing import Any

import strawberry

from db.queries import alerts
from db.queries.keys import key_list
from db.writes import alerts as writes
from db.writes.validation import validation_error
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import MAX_IDS, primary_key, relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation
from graph.types.alerts import Alert
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `markAlertsRead`: either ids or before.")
class MarkAlertsReadInput:
    ids: list[strawberry.ID] | None = strawberry.field(default=None, description="Global ids of 1 to 100 alerts.")
    before: datetime | None = strawberry.field(
        default=None, description='All alerts with an earlier timestamp, such as "now".'
    )
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `markAlertsRead`.")
class MarkAlertsReadPayload(Payload):
    marked: int = strawberry.field(default=0, description="Number of alerts that were unread before.")
    alert_keys: strawberry.Private[str] = key_list([])

    @relation(list[Alert], "The alerts with the ids of the input; empty for an input with before.")
    def alerts(self: Row, info: Info) -> Rows:
        return alerts.by_keys(info.context.viewer, self.alert_keys)


@mutation(
    "Mark your alerts as read. Alerts for all users cannot be marked, except with the scope ADMIN.", enforce_rls=True
)
async def mark_alerts_read(context: MutationContext, input_: MarkAlertsReadInput) -> MarkAlertsReadPayload:
    if (input_.ids is None) == (input_.before is None):
        raise validation_error("MISMATCH", "ids", "Set either ids or before.")
    if input_.before is not None:
        marked = await writes.mark_all_read(context.connection, context.viewer, input_.before)
        return MarkAlertsReadPayload(marked=marked)
    assert input_.ids is not None
    if not 1 <= len(input_.ids) <= MAX_IDS:
        message = f"There must be 1 to {MAX_IDS} ids, but there are {len(input_.ids)}."
        raise validation_error("TOO_MANY_IDS", "ids", message)
    keys: list[Any] = [primary_key("Alert", id_, ["ids", str(number)]) for number, id_ in enumerate(input_.ids)]
    marked = await writes.mark_read(context.connection, context.viewer, keys)
    return MarkAlertsReadPayload(marked=marked, alert_keys=key_list(keys))
