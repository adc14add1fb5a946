"""Sessions: begun by a login, carried on by refresh tokens, and ended.

A session knows the hash of one token: the newest. Whoever shows another has a copy of one that was used, or one that
somebody else has used. Nobody can tell the two apart, so the session ends for both. That holds for a client that
refreshes twice at once, too: it must do so once, and wait.
"""

import hmac
from datetime import timedelta
from enum import Enum, auto
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.models import Session, User
from db.queries.identities import is_alive


class Outcome(Enum):
    """What became of a refresh."""

    ROTATED = auto()
    # The token was good before, or never. The session is over from now on.
    REUSED = auto()
    UNKNOWN = auto()
    # The session has expired or was revoked, or the user is disabled.
    OVER = auto()


class Rotation(NamedTuple):
    """user_id: whose session it is, even where it is over; None where it is UNKNOWN."""

    outcome: Outcome
    user_id: int | None = None


async def begin(
    connection: AsyncConnection, user_id: int, *, verified: str, token_hash: bytes, lifetime: timedelta
) -> UUID | None:
    """Begin a session that ends after its lifetime, however often it is refreshed.

    verified is the stored hash against which the password was checked, a while ago. Returns None where the user is not
    active, or has another password by now: whoever changed that has ended all sessions, and must not have missed one.
    """
    # A user who is being changed is waited for; who is changed afterwards waits for this.
    user = await connection.execute(
        select(User.id)
        .where(User.id == user_id, User.is_active, User.password_hash == verified)
        .with_for_update(read=True)
    )
    if user.first() is None:
        return None
    begun = await connection.execute(
        insert(Session)
        .values(user_id=user_id, token_hash=token_hash, expires_at=func.now() + literal(lifetime))
        .returning(Session.id)
    )
    session_id: UUID = begun.scalar_one()
    return session_id


async def rotate(connection: AsyncConnection, session_id: UUID, *, presented: bytes, new_hash: bytes) -> Rotation:
    """Put a new token in the place of the presented one. Both are hashes of 32 bytes.

    The transaction must be committed whatever the outcome: REUSED has ended the session. Of two that come at once, the
    second waits, and has a token that was used.
    """
    found = await connection.execute(
        select(Session.user_id, Session.token_hash, (is_alive() & User.is_active).label("is_alive"))
        .join(User, User.id == Session.user_id)
        .where(Session.id == session_id)
        .with_for_update(of=Session)
    )
    session = found.first()
    if session is None:
        return Rotation(Outcome.UNKNOWN)
    if not session.is_alive:
        return Rotation(Outcome.OVER, session.user_id)
    if not hmac.compare_digest(session.token_hash, presented):
        await revoke(connection, session_id)
        return Rotation(Outcome.REUSED, session.user_id)
    await connection.execute(
        update(Session).where(Session.id == session_id).values(token_hash=new_hash, refreshed_at=func.now())
    )
    return Rotation(Outcome.ROTATED, session.user_id)


async def revoke(connection: AsyncConnection, session_id: UUID) -> bool:
    """End a session. Whether it was alive."""
    return bool(await _revoke(connection, Session.id == session_id))


async def revoke_all(connection: AsyncConnection, user_id: int) -> int:
    """End all sessions of a user. How many there were."""
    return await _revoke(connection, Session.user_id == user_id)


async def _revoke(connection: AsyncConnection, which: ColumnElement[bool]) -> int:
    revoked = await connection.execute(update(Session).where(which, is_alive()).values(revoked_at=func.now()))
    return revoked.rowcount
