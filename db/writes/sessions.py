from datetime import UTC, datetime, timedelta
from enum import Enum
from hmac import compare_digest
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Update, func, insert, select, update

from db.engine import Connection
from db.models import Session, User

SESSION, USER = Session.table(), User.table()
# A session that is not used for so long is over.
LIFETIME = timedelta(days=30)


class Outcome(Enum):
    """What became of a refresh token. REUSED: it was used before, by whoever has it now or by its owner."""

    ROTATED = "rotated"
    REUSED = "reused"
    OVER = "over"
    UNKNOWN = "unknown"


class Rotation(NamedTuple):
    outcome: Outcome
    user_id: int | None = None


async def begin(connection: Connection, session_id: UUID, user_id: int, token_hash: bytes) -> None:
    values = {"id": session_id, "user_id": user_id, "token_hash": token_hash}
    await connection.execute(insert(SESSION).values(**values, expires_at=datetime.now(UTC) + LIFETIME))


async def rotate(connection: Connection, session_id: UUID, presented_hash: bytes, new_hash: bytes) -> Rotation:
    """Replace the refresh token of a session, if the one that is presented is its latest.

    An earlier one has been seen by two, so nobody can tell whose the latest is: the session ends. Of two who present
    the latest at once, one is later.
    """
    rows = select(SESSION.c.user_id, SESSION.c.token_hash, SESSION.c.expires_at, SESSION.c.revoked_at, USER.c.is_active)
    rows = rows.join_from(SESSION, USER, USER.c.id == SESSION.c.user_id).where(SESSION.c.id == session_id)
    found = (await connection.execute(rows.with_for_update(of=SESSION))).one_or_none()
    if found is None:
        return Rotation(Outcome.UNKNOWN)
    if found.revoked_at is not None or found.expires_at <= datetime.now(UTC) or not found.is_active:
        return Rotation(Outcome.OVER)
    if not compare_digest(found.token_hash, presented_hash):
        await revoke(connection, session_id)
        return Rotation(Outcome.REUSED, found.user_id)
    changes = {"token_hash": new_hash, "refreshed_at": func.now(), "expires_at": datetime.now(UTC) + LIFETIME}
    await connection.execute(update(SESSION).where(SESSION.c.id == session_id).values(**changes))
    return Rotation(Outcome.ROTATED, found.user_id)


async def revoke(connection: Connection, session_id: UUID) -> None:
    await connection.execute(_ended().where(SESSION.c.id == session_id))


async def revoke_all(connection: Connection, user_id: int) -> None:
    await connection.execute(_ended().where(SESSION.c.user_id == user_id))


def _ended() -> Update:
    return update(SESSION).where(SESSION.c.revoked_at.is_(None)).values(revoked_at=func.now())
