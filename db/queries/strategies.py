from typing import Any

from sqlalchemy import Select, select

from db.models import Strategy
from db.queries.listings import Listing


def by_id(key: Any) -> Select[Any]:
    strategy = Strategy.rows()
    return select(strategy).where(strategy.c.id == key)


def listing() -> Listing:
    """Strategies in the order in which they were created."""
    return Listing(select(Strategy.rows()), "strategies", ("id",))
