"""Queries for API keys, without their hashes."""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select

from db.models import ApiKey, User
from db.queries.listings import Listing, filtered
from db.queries.viewers import Viewer, owned

# Every column except the hash, which no reader needs.
VISIBLE_COLUMNS = (
    "id",
    "user_id",
    "name",
    "prefix",
    "scopes",
    "expires_at",
    "revoked_at",
    "last_used_at",
    "created_at",
)


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    api_key = ApiKey.rows()
    return _visible(api_key, viewer).where(api_key.c.id == key)


def listing(viewer: Viewer, *, of_user: Any) -> Listing:
    """The keys of a user, in the order of their creation."""
    api_key = ApiKey.rows()
    return Listing(_visible(api_key, viewer).where(api_key.c.user_id == of_user), "api_keys", ("id",))


def _visible(api_key: Any, viewer: Viewer) -> Select[Any]:
    return filtered(select(*(api_key.c[name] for name in VISIBLE_COLUMNS)), [owned(api_key.c.user_id, viewer)])


def for_username(username: str | None) -> Select[Any]:
    """Rows (username, is_active, name, prefix, scopes, expires_at, revoked_at, last_used_at) of the keys of one user,
    or of all users, in the order of their creation.

    is_active is the user's. The hash of a key is left out.
    """
    columns: list[Any] = [
        User.username,
        User.is_active,
        ApiKey.name,
        ApiKey.prefix,
        ApiKey.scopes,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        ApiKey.last_used_at,
    ]
    keys = select(*columns).join(User, User.id == ApiKey.user_id).order_by(ApiKey.id)
    return keys if username is None else keys.where(func.lower(User.username) == username.lower())


def is_usable() -> ColumnElement[bool]:
    """Whether a key is neither revoked nor expired. Does not check whether its user is disabled."""
    return ApiKey.revoked_at.is_(None) & or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
