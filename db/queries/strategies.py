from typing import Any

from sqlalchemy import Select, select

from db.models import Strategy
from db.queries.listings import Listing, equal, narrowed
from db.queries.viewers import Viewer, own


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    strategy = Strategy.rows()
    return narrowed(select(strategy).where(strategy.c.id == key), [own(strategy.c.user_id, viewer)])


def listing(viewer: Viewer, *, of_user: Any = None) -> Listing:
    """Strategies in the order in which they were created."""
    strategy = Strategy.rows()
    criteria = [own(strategy.c.user_id, viewer), equal(strategy.c.user_id, of_user)]
    return Listing(narrowed(select(strategy), criteria), "strategies", ("id",))
