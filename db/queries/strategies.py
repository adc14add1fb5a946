"""Queries for trading strategies, which are private to a user."""

from typing import Any

from sqlalchemy import Select, select

from db.models import Strategy
from db.queries.listings import Listing, equal_to, filtered
from db.queries.viewers import Viewer, owned


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    strategy = Strategy.rows()
    return filtered(select(strategy).where(strategy.c.id == key), [owned(strategy.c.user_id, viewer)])


def listing(viewer: Viewer, *, of_user: Any = None) -> Listing:
    """Strategies in the order of their creation."""
    strategy = Strategy.rows()
    criteria = [owned(strategy.c.user_id, viewer), equal_to(strategy.c.user_id, of_user)]
    return Listing(filtered(select(strategy), criteria), "strategies", ("id",))
