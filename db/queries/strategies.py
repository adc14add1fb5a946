from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from db.models import Strategy
from db.queries.listings import Listing


def by_id(key: Any) -> Select[Any]:
    strategy = aliased(Strategy)
    return select(strategy).where(strategy.id == key)


def listing() -> Listing:
    """Strategies in the order in which they were created."""
    return Listing(select(aliased(Strategy)), "strategies", ("id",))
