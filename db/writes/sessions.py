"""Writes of sessions: start at login, rotate the refresh token, revoke.

A session stores the hash of its newest token only. A request with any other token means that a token was copied: either
this request or the one that used it first may come from an attacker. The two cannot be distinguished, so the session is
revoked for both. That includes a client that refreshes twice concurrently: it must send one request and wait.
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
    """Result of presenting a refresh token."""

    ROTATED = auto()
    # The token is not the newest one. The session has been revoked.
    REUSED = auto()
    UNKNOWN = auto()
    # The session has expired or was revoked, or the user is disabled.
    ENDED = auto()


class RotationResult(NamedTuple):
    """user_id: the owner of the session, also if it has ended; None if it is UNKNOWN."""

    outcome: Outcome
    user_id: int | None = None


async def begin(
    connection: AsyncConnection, user_id: int, *, verified: str, token_hash: bytes, lifetime: timedelta
) -> UUID | None:
    """Start a session; return its id. It ends after its lifetime, however often it is refreshed.

    verified: the stored hash against which the password was checked before. Returns None if the user is disabled or the
    password has changed since: the change has ended all sessions and must not miss this one.
    """
    # The row lock orders this after a concurrent change of the user, or before it.
    user = await connection.execute(
        select(User.id)
        .where(User.id == user_id, User.is_active, User.password_hash == verified)
        .with_for_update(read=True)
    )
    if user.first() is None:
        return None
    inserted = await connection.execute(
        insert(Session)
        .values(user_id=user_id, token_hash=token_hash, expires_at=func.now() + literal(lifetime))
        .returning(Session.id)
    )
    session_id: UUID = inserted.scalar_one()
    return session_id


async def rotate(connection: AsyncConnection, session_id: UUID, *, presented: bytes, new_hash: bytes) -> RotationResult:
    """Replace the presented token by a new one. Both are hashes of 32 bytes.

    Commit the transaction whatever the outcome: REUSED has revoked the session. Of two concurrent calls with the same
    token, the second waits and gets REUSED.
    """
    found = await connection.execute(
        select(Session.user_id, Session.token_hash, (is_alive() & User.is_active).label("is_alive"))
        .join(User, User.id == Session.user_id)
        .where(Session.id == session_id)
        .with_for_update(of=Session)
    )
    session = found.first()
    if session is None:
        return RotationResult(Outcome.UNKNOWN)
    if not session.is_alive:
        return RotationResult(Outcome.ENDED, session.user_id)
    if not hmac.compare_digest(session.token_hash, presented):
        await revoke(connection, session_id)
        return RotationResult(Outcome.REUSED, session.user_id)
    await connection.execute(
        update(Session).where(Session.id == session_id).values(token_hash=new_hash, refreshed_at=func.now())
    )
    return RotationResult(Outcome.ROTATED, session.user_id)


async def revoke(connection: AsyncConnection, session_id: UUID) -> bool:
    """End a session. Returns whether it was alive."""
    return bool(await _revoke(connection, Session.id == session_id))


async def revoke_all(connection: AsyncConnection, user_id: int) -> int:
    """End all sessions of a user; return how many were alive."""
    return await _revoke(connection, Session.user_id == user_id)


async def _revoke(connection: AsyncConnection, criterion: ColumnElement[bool]) -> int:
    revoked = await connection.execute(update(Session).where(criterion, is_alive()).values(revoked_at=func.now()))
    return revoked.rowcount
