from typing import Any

from sqlalchemy import Select, select

from db.models import User
from db.queries.listings import narrowed
from db.queries.viewers import Viewer, own

# All but the hash of the password, which nobody has to see.
SHOWN = ("id", "username", "email", "is_active", "is_admin", "created_at")


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    """A user, whom they themselves may see, and who sees all."""
    user = User.rows()
    shown = select(*(user.c[name] for name in SHOWN)).where(user.c.id == key)
    return narrowed(shown, [own(user.c.id, viewer)])
