from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select

from db.models import ApiKey, User


def of(username: str | None) -> Select[Any]:
    """Rows (username, is_active, name, prefix, scopes, expires_at, revoked_at, last_used_at) of the keys of one user,
    or of all, in the order in which they were created.

    is_active is the user's. What a key is hashed to is left out.
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
    """Whether a key is neither revoked nor expired. Its user may be disabled all the same."""
    return ApiKey.revoked_at.is_(None) & or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
