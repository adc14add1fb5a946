from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, or_, update

from db.engine import Connection
from db.models import ApiKey
from db.queries.listings import met
from db.queries.viewers import Viewer, own
from db.writes.refusals import missing, refuse, refuse_if, text_problem, time_problem

API_KEY = ApiKey.table()
MAX_NAME = 100
# Its last use is noted so often at most.
TOUCHED_EVERY = timedelta(minutes=1)


async def create(
    connection: Connection,
    user_id: int,
    *,
    name: str,
    prefix: str,
    key_hash: bytes,
    scopes: Collection[str],
    expires_at: datetime | None = None,
) -> int:
    """The key of the row, not the API key. Raises WriteRefused."""
    refuse_if(text_problem("name", name, MAX_NAME), time_problem("expires_at", expires_at))
    if not scopes:
        raise refuse("INVALID_SCOPES", "scopes", "A key needs a scope, or it may be used for nothing.")
    values: dict[str, Any] = {"name": name, "prefix": prefix, "key_hash": key_hash, "expires_at": expires_at}
    statement = insert(API_KEY).values(user_id=user_id, scopes=sorted(scopes), **values).returning(API_KEY.c.id)
    key: int = (await connection.execute(statement)).scalar_one()
    return key


async def revoke(connection: Connection, viewer: Viewer, key: int) -> int:
    """End a key that the viewer may see, at once and for ever; return it. Raises WriteRefused."""
    mine = met([API_KEY.c.id == key, own(API_KEY.c.user_id, viewer)])
    statement = update(API_KEY).where(*mine).values(revoked_at=func.coalesce(API_KEY.c.revoked_at, func.now()))
    found: int | None = (await connection.execute(statement.returning(API_KEY.c.id))).scalar_one_or_none()
    if found is None:
        raise missing("id", "API key")
    return found


async def touch(connection: Connection, key: int) -> None:
    """Note that a key is used, unless that was noted lately."""
    is_old = or_(API_KEY.c.last_used_at.is_(None), API_KEY.c.last_used_at < func.now() - TOUCHED_EVERY)
    await connection.execute(update(API_KEY).where(API_KEY.c.id == key, is_old).values(last_used_at=func.now()))
