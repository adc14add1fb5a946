"""Users, for whoever looks after them and for signing in."""

import re
from typing import Any

from sqlalchemy import Select, func, select

from db.models import ApiKey, User
from db.queries.api_keys import is_usable
from db.queries.listings import narrowed
from db.queries.viewers import Viewer, own

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")


# What may be seen of one: all but the hash of the password.
SHOWN = ("id", "username", "email", "is_active", "is_admin", "created_at")


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    """A user, whom they themselves may see, and who sees all."""
    user = User.rows()
    shown = select(*(user.c[name] for name in SHOWN)).where(user.c.id == key)
    return narrowed(shown, [own(user.c.id, viewer)])


def for_login(username: str) -> Select[Any]:
    """One row (id, password_hash, is_active), or none.

    A text that can be nobody's name is not asked for: PostgreSQL might not even take it.
    """
    return _named(username, User.id, User.password_hash, User.is_active)


def named(username: str) -> Select[Any]:
    """One row (id, username, is_active), or none."""
    return _named(username, User.id, User.username, User.is_active)


def _named(username: str, *columns: Any) -> Select[Any]:
    name = username if USERNAME.fullmatch(username) else ""
    return select(*columns).where(func.lower(User.username) == name.lower())


def everyone() -> Select[Any]:
    """Rows (username, email, is_admin, is_active, created_at, keys), by name. keys: how many can be used."""
    keys = select(func.count()).where(ApiKey.user_id == User.id, is_usable()).scalar_subquery()
    columns: list[Any] = [User.username, User.email, User.is_admin, User.is_active, User.created_at, keys.label("keys")]
    return select(*columns).order_by(func.lower(User.username))
