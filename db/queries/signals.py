from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from db.models import Signal
from db.queries.listings import (
    ALWAYS,
    Listing,
    Span,
    among,
    at_least,
    by_time,
    equal,
    narrowed,
    of_symbol,
    within,
)
from db.queries.viewers import Viewer, own


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    signal = Signal.rows()
    return narrowed(select(signal).where(signal.c.id == key), [own(signal.c.user_id, viewer)])


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
    timestamp: Span = ALWAYS,
    newest_first: bool = True,
) -> Listing:
    """Signals in the order of their time. of_strategy is the parent, strategy_id a filter: both may be given."""
    signal = Signal.rows()
    criteria = [
        own(signal.c.user_id, viewer),
        equal(signal.c.user_id, of_user),
        equal(signal.c.cryptocurrency_id, cryptocurrency_id),
        equal(signal.c.prediction_id, prediction_id),
        equal(signal.c.model_id, model_id),
        equal(signal.c.strategy_id, of_strategy),
        of_symbol(signal.c.cryptocurrency_id, symbol),
        among(signal.c.type, types),
        equal(signal.c.strategy_id, strategy_id),
        at_least(signal.c.confidence, min_confidence),
        *within(signal.c.timestamp, timestamp),
    ]
    return by_time(narrowed(select(signal), criteria), "signals", newest_first=newest_first)
