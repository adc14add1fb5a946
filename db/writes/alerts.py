"""Writes of alerts: creating them and marking them as read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, true, update

from db.engine import Connection
from db.models import Alert
from db.queries.listings import less_than, present_criteria
from db.queries.viewers import Viewer, owned
from db.writes.validation import FieldError, ValidationError, raise_field_errors, text_error, time_error

ALERT = Alert.table()
MAX_MESSAGE = 2_000


async def create(connection: Connection, user_id: int | None, *, message: str, **values: Any) -> int:
    """Create an alert; return its key. user_id None: for everyone. values: type, timestamp. Raises ValidationError."""
    raise_field_errors(text_error("message", message, MAX_MESSAGE), time_error("timestamp", values.get("timestamp")))
    statement = insert(ALERT).values(user_id=user_id, message=message, **values).returning(ALERT.c.id)
    key: int = (await connection.execute(statement)).scalar_one()
    return key


async def mark_read(connection: Connection, viewer: Viewer, keys: Sequence[int]) -> int:
    """Mark these alerts as read; return how many were unread. Raises ValidationError if the viewer does not own one."""
    owned_criteria = present_criteria([ALERT.c.id.in_(keys), owned(ALERT.c.user_id, viewer)])
    # Locked in a fixed order, so that two concurrent calls for the same alerts do not deadlock.
    rows = select(ALERT.c.id).where(*owned_criteria).order_by(ALERT.c.id).with_for_update()
    found = set((await connection.execute(rows)).scalars())
    not_owned = [number for number, key in enumerate(keys) if key not in found]
    if not_owned:
        message = "There is no such alert, or it is for everyone and cannot be marked as read."
        raise ValidationError(*(FieldError("NOT_FOUND", ("ids", str(number)), message) for number in not_owned))
    return await _mark_unread(connection, owned_criteria)


async def mark_all_read(connection: Connection, viewer: Viewer, until: datetime) -> int:
    """Mark all of the viewer's own alerts before this time as read; return how many were unread."""
    criteria = present_criteria([owned(ALERT.c.user_id, viewer), less_than(ALERT.c.timestamp, until)])
    return await _mark_unread(connection, criteria)


async def _mark_unread(connection: Connection, criteria: Sequence[Any]) -> int:
    unread = update(ALERT).where(*criteria, ALERT.c.is_read.is_(False)).values(is_read=true())
    count: int = (await connection.execute(unread)).rowcount
    return count
