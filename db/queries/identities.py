"""Whose a credential is: one row, or none where it is not worth anything any more."""

from typing import Any

from sqlalchemy import Select, func, or_, select

from db.models import ApiKey, Session, User


def by_api_key(key_hash: bytes) -> Select[Any]:
    """user_id, is_admin, key_id, scopes, expires_at, and last_used_at."""
    user, api_key = User.rows(), ApiKey.rows()
    lives = [api_key.c.revoked_at.is_(None), or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > func.now())]
    return (
        select(
            user.c.id.label("user_id"),
            user.c.is_admin,
            api_key.c.id.label("key_id"),
            api_key.c.scopes,
            api_key.c.expires_at,
            api_key.c.last_used_at,
        )
        .join_from(api_key, user, user.c.id == api_key.c.user_id)
        .where(api_key.c.key_hash == key_hash, user.c.is_active, *lives)
    )


def by_session(session_id: Any, user_id: int) -> Select[Any]:
    """user_id, is_admin, and expires_at."""
    user, session = User.rows(), Session.rows()
    lives = [session.c.revoked_at.is_(None), session.c.expires_at > func.now()]
    return (
        select(user.c.id.label("user_id"), user.c.is_admin, session.c.expires_at)
        .join_from(session, user, user.c.id == session.c.user_id)
        .where(session.c.id == session_id, user.c.id == user_id, user.c.is_active, *lives)
    )
