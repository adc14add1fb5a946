from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select

from db.models import ApiKey, User
from db.queries.listings import Listing, narrowed
from db.queries.viewers import Viewer, own

# All but the hash, which nobody has to see.
SHOWN = ("id", "user_id", "name", "prefix", "scopes", "expires_at", "revoked_at", "last_used_at", "created_at")


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    api_key = ApiKey.rows()
    return _shown(api_key, viewer).where(api_key.c.id == key)


def listing(viewer: Viewer, *, of_user: Any) -> Listing:
    """The keys of a user, in the order in which they were made."""
    api_key = ApiKey.rows()
    return Listing(_shown(api_key, viewer).where(api_key.c.user_id == of_user), "api_keys", ("id",))


def _shown(api_key: Any, viewer: Viewer) -> Select[Any]:
    return narrowed(select(*(api_key.c[name] for name in SHOWN)), [own(api_key.c.user_id, viewer)])


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
