"""Queries for signals, which are private to a user."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from db.models import Signal
from db.queries.listings import (
    ANY_TIME,
    Listing,
    Span,
    equal_to,
    filtered,
    greater_or_equal,
    in_span,
    of_symbol,
    one_of,
    ordered_by_time,
)
from db.queries.viewers import Viewer, owned


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    signal = Signal.rows()
    return filtered(select(signal).where(signal.c.id == key), [owned(signal.c.user_id, viewer)])


def listing(
    viewer: Viewer,
    *,
    of_user: Any = None,
    cryptocurrency_id: Any = None,
    prediction_id: Any = None,
    model_id: Any = None,
    of_strategy: Any = None,
    symbol: Any = None,
    types: Sequence[str] | None = None,
    strategy_id: Any = None,
    min_confidence: Any = None,
    timestamp: Span = ANY_TIME,
    newest_first: bool = True,
) -> Listing:
    """Signals ordered by time. of_strategy is the parent, strategy_id a filter; both can be given."""
    signal = Signal.rows()
    criteria = [
        owned(signal.c.user_id, viewer),
        equal_to(signal.c.user_id, of_user),
        equal_to(signal.c.cryptocurrency_id, cryptocurrency_id),
        equal_to(signal.c.prediction_id, prediction_id),
        equal_to(signal.c.model_id, model_id),
        equal_to(signal.c.strategy_id, of_strategy),
        of_symbol(signal.c.cryptocurrency_id, symbol),
        one_of(signal.c.type, types),
        equal_to(signal.c.strategy_id, strategy_id),
        greater_or_equal(signal.c.confidence, min_confidence),
        *in_span(signal.c.timestamp, timestamp),
    ]
    return ordered_by_time(filtered(select(signal), criteria), "signals", newest_first=newest_first)
