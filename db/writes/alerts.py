from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, true, update

from db.engine import Connection
from db.models import Alert
from db.queries.listings import before, met
from db.queries.viewers import Viewer, own
from db.writes.validation import Problem, ValidationError, raise_problems, text_problem, time_problem

ALERT = Alert.table()
MAX_MESSAGE = 2_000


async def create(connection: Connection, user_id: int | None, *, message: str, **values: Any) -> int:
    """A new alert's key. user_id None: for everyone. values: type, timestamp. Raises ValidationError."""
    raise_problems(text_problem("message", message, MAX_MESSAGE), time_problem("timestamp", values.get("timestamp")))
    statement = insert(ALERT).values(user_id=user_id, message=message, **values).returning(ALERT.c.id)
    key: int = (await connection.execute(statement)).scalar_one()
    return key


async def mark_read(connection: Connection, viewer: Viewer, keys: Sequence[int]) -> int:
    """Mark these alerts as read; return how many were not. Raises ValidationError where one is not the viewer's own."""
    mine = met([ALERT.c.id.in_(keys), own(ALERT.c.user_id, viewer)])
    # In one order: two who mark the same would wait for each other otherwise.
    rows = select(ALERT.c.id).where(*mine).order_by(ALERT.c.id).with_for_update()
    found = set((await connection.execute(rows)).scalars())
    strange = [number for number, key in enumerate(keys) if key not in found]
    if strange:
        message = "There is no such alert, or it is for everyone, and nobody's to mark."
        raise ValidationError(*(Problem("NOT_FOUND", ("ids", str(number)), message) for number in strange))
    return await _marked(connection, mine)


async def mark_all_read(connection: Connection, viewer: Viewer, until: datetime) -> int:
    """Mark all alerts of the viewer's own as read that are older than this; return how many were not."""
    mine = met([own(ALERT.c.user_id, viewer), before(ALERT.c.timestamp, until)])
    return await _marked(connection, mine)


async def _marked(connection: Connection, which: Sequence[Any]) -> int:
    unread = update(ALERT).where(*which, ALERT.c.is_read.is_(False)).values(is_read=true())
    count: int = (await connection.execute(unread)).rowcount
    return count
