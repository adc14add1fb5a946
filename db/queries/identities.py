"""Queries that authenticate a credential: at most one row, and none for an invalid credential."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select

from db.models import ApiKey, Session, User
from db.queries.api_keys import is_usable


def of_api_key(key_hash: bytes) -> Select[Any]:
    """A row (user_id, is_admin, key_id, scopes, expires_at, last_used_at), unless the key is revoked or expired, or its
    user is disabled.

    A key grants what both its scopes and its user allow: ADMIN has an effect only for an administrator.
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
    """A row (user_id, is_admin, expires_at), unless the session has ended or its user is disabled."""
    columns: list[Any] = [User.id.label("user_id"), User.is_admin, Session.expires_at]
    sessions = select(*columns).join(User, User.id == Session.user_id)
    return sessions.where(Session.id == session_id, is_alive(), User.is_active)


def is_alive() -> ColumnElement[bool]:
    """Whether a session is neither revoked nor expired. Does not check whether its user is disabled."""
    return Session.revoked_at.is_(None) & (Session.expires_at > func.now())
