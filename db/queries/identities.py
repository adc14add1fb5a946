"""Who is this: at most one row for what somebody shows, and none where it is good no longer."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select

from db.models import ApiKey, Session, User
from db.queries.api_keys import is_usable


def of_api_key(key_hash: bytes) -> Select[Any]:
    """A row (user_id, is_admin, key_id, scopes, expires_at, last_used_at), unless the key is revoked or has expired,
    or its user is disabled.

    It allows what both the scopes and the user allow: ADMIN is of use to an administrator only.
    """
    columns: list[Any] = [
        User.id.label("user_id"),
        User.is_admin,
        ApiKey.id.label("key_id"),
        ApiKey.scopes,
        ApiKey.expires_at,
        ApiKey.last_used_at,
    ]
    keys = select(*columns).join(User, User.id == ApiKey.user_id)
    return keys.where(ApiKey.key_hash == key_hash, is_usable(), User.is_active)


def of_session(session_id: UUID) -> Select[Any]:
    """A row (user_id, is_admin, expires_at), unless the session is over or its user is disabled."""
    columns: list[Any] = [User.id.label("user_id"), User.is_admin, Session.expires_at]
    sessions = select(*columns).join(User, User.id == Session.user_id)
    return sessions.where(Session.id == session_id, is_alive(), User.is_active)


def is_alive() -> ColumnElement[bool]:
    """Whether a session is neither revoked nor expired. Its user may be disabled all the same."""
    return Session.revoked_at.is_(None) & (Session.expires_at > func.now())
