"""Queries for users: for login, for administration and for the API."""

import re
from typing import Any

from sqlalchemy import Select, func, select

from db.models import ApiKey, User
from db.queries.api_keys import is_usable
from db.queries.listings import filtered
from db.queries.viewers import Viewer, owned

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
# Every column except the password hash.
VISIBLE_COLUMNS = ("id", "username", "email", "is_active", "is_admin", "created_at")


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    """A user, visible to that user and to viewers who see all rows."""
    user = User.rows()
    rows = select(*(user.c[name] for name in VISIBLE_COLUMNS)).where(user.c.id == key)
    return filtered(rows, [owned(user.c.id, viewer)])


def for_login(username: str) -> Select[Any]:
    """One row (id, password_hash, is_active), or none."""
    return _by_username(username, User.id, User.password_hash, User.is_active)


def by_username(username: str) -> Select[Any]:
    """One row (id, username, is_active), or none."""
    return _by_username(username, User.id, User.username, User.is_active)


def _by_username(username: str, *columns: Any) -> Select[Any]:
    # An invalid name is not sent: PostgreSQL might not even accept its characters.
    name = username if USERNAME.fullmatch(username) else ""
    return select(*columns).where(func.lower(User.username) == name.lower())


def all_users() -> Select[Any]:
    """Rows (username, email, is_admin, is_active, created_at, keys), by name. keys: the number of usable API keys."""
    keys = select(func.count()).where(ApiKey.user_id == User.id, is_usable()).scalar_subquery()
    columns: list[Any] = [User.username, User.email, User.is_admin, User.is_active, User.created_at, keys.label("keys")]
    return select(*columns).order_by(func.lower(User.username))
