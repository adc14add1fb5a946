"""Writes of API keys: create, revoke, record use. Only the hash of a key is stored."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.models import ApiKey, User
from db.models.api_keys import SCOPES
from db.queries.api_keys import is_usable
from db.writes.validation import raise_field_errors, time_error, validation_error

MAX_NAME = 100
# Usable keys per user.
MAX_KEYS = 100
TOUCH_INTERVAL = timedelta(minutes=1)


async def create(
    connection: AsyncConnection,
    user_id: int,
    *,
    name: str,
    prefix: str,
    key_hash: bytes,
    scopes: Collection[str],
    expires_at: datetime | None,
) -> int:
    """Create a key; return its id.

    expires_at: None for a key that does not expire. Raises ValidationError: INVALID_NAME, INVALID_SCOPES, INVALID_TIME,
    TOO_MANY_KEYS, NOT_ADMIN, or USER_NOT_FOUND if the user does not exist or is disabled.
    """
    _check(name, scopes, expires_at)
    # Locked, so that the user cannot be disabled or get another key between this check and the insert.
    user = await connection.execute(
        select(User.is_admin).where(User.id == user_id, User.is_active).with_for_update(key_share=True)
    )
    is_admin: bool | None = user.scalar()
    if is_admin is None:
        raise validation_error("USER_NOT_FOUND", "user", "The user does not exist or is disabled.")
    if "ADMIN" in scopes and not is_admin:
        raise validation_error("NOT_ADMIN", "scopes", "Only keys of administrators can have the scope ADMIN.")
    if await _count(connection, user_id) >= MAX_KEYS:
        raise validation_error("TOO_MANY_KEYS", "name", f"A user has at most {MAX_KEYS} keys: revoke one first.")
    inserted = await connection.execute(
        insert(ApiKey)
        .values(
            user_id=user_id,
            name=name,
            prefix=prefix,
            key_hash=key_hash,
            scopes=sorted(set(scopes), key=SCOPES.index),
            expires_at=expires_at,
        )
        .returning(ApiKey.id)
    )
    key_id: int = inserted.scalar_one()
    return key_id


def _check(name: str, scopes: Collection[str], expires_at: datetime | None) -> None:
    if not (name.strip() and len(name) <= MAX_NAME and name.isprintable()):
        raise validation_error("INVALID_NAME", "name", f"A key's name has 1 to {MAX_NAME} printable characters.")
    if not (scopes and set(scopes) <= set(SCOPES)):
        raise validation_error("INVALID_SCOPES", "scopes", f"A key has one or more of the scopes {', '.join(SCOPES)}.")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise validation_error("INVALID_TIME", "expires_at", "The expiry of a key must be in the future.")
    raise_field_errors(time_error("expires_at", expires_at))


async def _count(connection: AsyncConnection, user_id: int) -> int:
    counted = await connection.execute(
        select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user_id, is_usable())
    )
    count: int = counted.scalar_one()
    return count


async def revoke(connection: AsyncConnection, user_id: int, key_id: int) -> bool:
    """Revoke a key of this user. False if the user has no such key or it is already revoked."""
    return await _revoke(connection, (ApiKey.user_id == user_id) & (ApiKey.id == key_id))


async def revoke_by_prefix(connection: AsyncConnection, prefix: str) -> bool:
    """Revoke a key of any user. False if there is no such key or it is already revoked."""
    return await _revoke(connection, ApiKey.prefix == prefix)


async def _revoke(connection: AsyncConnection, criterion: ColumnElement[bool]) -> bool:
    revoked = await connection.execute(
        update(ApiKey).where(criterion, ApiKey.revoked_at.is_(None)).values(revoked_at=func.now())
    )
    return bool(revoked.rowcount)


async def touch(connection: AsyncConnection, key_id: int) -> bool:
    """Update last_used_at, at most once a minute across all servers. Returns whether it was written."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= func.now() - TOUCH_INTERVAL)
    # A locked row is being updated by another server; skip it.
    unlocked = select(ApiKey.id).where(ApiKey.id == key_id, stale).with_for_update(key_share=True, skip_locked=True)
    touched = await connection.execute(
        update(ApiKey).where(ApiKey.id == unlocked.scalar_subquery()).values(last_used_at=func.now())
    )
    return bool(touched.rowcount)
