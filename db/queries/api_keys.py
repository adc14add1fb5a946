from typing import Any

from sqlalchemy import Select, select

from db.models import ApiKey
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
