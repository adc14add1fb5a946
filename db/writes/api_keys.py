"""API keys: made, revoked, and used. What is known of a key is its hash."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.models import ApiKey, User
from db.models.api_keys import SCOPES
from db.queries.api_keys import is_usable
from db.writes.validation import invalid, raise_problems, time_problem

LONGEST_NAME = 100
# Keys of one user that can be used.
MOST_KEYS = 100
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

    Raises ValidationError: INVALID_NAME, INVALID_SCOPES, INVALID_TIME, TOO_MANY_KEYS, NOT_ADMIN, or
    USER_NOT_FOUND where the user is gone or disabled.

    expires_at: None for a key that does not expire.
    """
    _check(name, scopes, expires_at)
    # Locked, so that nobody is disabled, and no other key is made, between this look and the insert.
    user = await connection.execute(
        select(User.is_admin).where(User.id == user_id, User.is_active).with_for_update(key_share=True)
    )
    is_admin: bool | None = user.scalar()
    if is_admin is None:
        raise invalid("USER_NOT_FOUND", "user", "There is no such user, or no longer an active one.")
    if "ADMIN" in scopes and not is_admin:
        raise invalid("NOT_ADMIN", "scopes", "The scope ADMIN is for the keys of administrators.")
    if await _count(connection, user_id) >= MOST_KEYS:
        raise invalid("TOO_MANY_KEYS", "name", f"A user has at most {MOST_KEYS} keys: revoke one first.")
    made = await connection.execute(
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
    key_id: int = made.scalar_one()
    return key_id


def _check(name: str, scopes: Collection[str], expires_at: datetime | None) -> None:
    if not (name.strip() and len(name) <= LONGEST_NAME and name.isprintable()):
        raise invalid("INVALID_NAME", "name", f"A key's name has 1 to {LONGEST_NAME} printable characters.")
    if not (scopes and set(scopes) <= set(SCOPES)):
        raise invalid("INVALID_SCOPES", "scopes", f"A key has one or more of the scopes {', '.join(SCOPES)}.")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise invalid("INVALID_TIME", "expires_at", "A key cannot have expired when it is made.")
    raise_problems(time_problem("expires_at", expires_at))


async def _count(connection: AsyncConnection, user_id: int) -> int:
    counted = await connection.execute(
        select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user_id, is_usable())
    )
    count: int = counted.scalar_one()
    return count


async def revoke(connection: AsyncConnection, user_id: int, key_id: int) -> bool:
    """Revoke a key of this user. False where the user has no such key, or it is revoked already."""
    return await _revoke(connection, (ApiKey.user_id == user_id) & (ApiKey.id == key_id))


async def revoke_by_prefix(connection: AsyncConnection, prefix: str) -> bool:
    """Revoke a key, whosever it is. False where there is no such key, or it is revoked already."""
    return await _revoke(connection, ApiKey.prefix == prefix)


async def _revoke(connection: AsyncConnection, which: ColumnElement[bool]) -> bool:
    revoked = await connection.execute(
        update(ApiKey).where(which, ApiKey.revoked_at.is_(None)).values(revoked_at=func.now())
    )
    return bool(revoked.rowcount)


async def touch(connection: AsyncConnection, key_id: int) -> bool:
    """Note that the key is in use. Whether that was written: once a minute is enough, by whichever server."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= func.now() - TOUCH_INTERVAL)
    # Whoever holds the row is noting it.
    free = select(ApiKey.id).where(ApiKey.id == key_id, stale).with_for_update(key_share=True, skip_locked=True)
    touched = await connection.execute(
        update(ApiKey).where(ApiKey.id == free.scalar_subquery()).values(last_used_at=func.now())
    )
    return bool(touched.rowcount)
