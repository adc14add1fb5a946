from datetime import datetime
from typing import Any

import strawberry

from db.queries import alerts
from db.queries.keys import key_list
from db.writes import alerts as writes
from db.writes.validation import invalid
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, mutation
from graph.types.alerts import Alert
from graph.types.user_errors import Payload

MAX_IDS = 100


@strawberry.input(description="Which alerts of yours were read: some by their ids, or all until a time.")
class MarkAlertsReadInput:
    ids: list[strawberry.ID] | None = strawberry.field(default=None, description="1 to 100 of them.")
    before: datetime | None = strawberry.field(default=None, description="All that are older than this, instead.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of markAlertsRead.")
class MarkAlertsReadPayload(Payload):
    marked: int = strawberry.field(default=0, description="How many had not been read.")
    alert_keys: strawberry.Private[str] = key_list([])

    @relation(list[Alert], "The alerts whose ids were given.")
    def alerts(self: Row, info: Info) -> Rows:
        return alerts.by_keys(info.context.viewer, self.alert_keys)


@mutation("Mark alerts of yours as read. Those for everyone stay as they are.", as_viewer=True)
async def mark_alerts_read(writing: Writing, given: MarkAlertsReadInput) -> MarkAlertsReadPayload:
    if (given.ids is None) == (given.before is None):
        raise invalid("MISMATCH", "ids", "Give either ids or before.")
    if given.before is not None:
        marked = await writes.mark_all_read(writing.connection, writing.viewer, given.before)
        return MarkAlertsReadPayload(marked=marked)
    assert given.ids is not None
    if not 1 <= len(given.ids) <= MAX_IDS:
        raise invalid("TOO_MANY_IDS", "ids", f"1 to {MAX_IDS} ids at a time, not {len(given.ids)}.")
    keys: list[Any] = [primary_key("Alert", id_, ["ids", str(number)]) for number, id_ in enumerate(given.ids)]
    marked = await writes.mark_read(writing.connection, writing.viewer, keys)
    return MarkAlertsReadPayload(marked=marked, alert_keys=key_list(keys))
