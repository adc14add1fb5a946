"""Queries for trades, which are private to a user."""

from typing import Any

from sqlalchemy import ColumnElement, Select, select

from db.models import Signal, Trade
from db.queries.listings import (
    ANY_TIME,
    Criterion,
    Listing,
    Span,
    equal_to,
    filtered,
    in_span,
    of_symbol,
    ordered_by_time,
)
from db.queries.viewers import Viewer, owned


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    trade = Trade.rows()
    return filtered(select(trade).where(trade.c.id == key), [owned(trade.c.user_id, viewer)])


def listing(
    viewer: Viewer,
    *,
    of_user: Any = None,
    cryptocurrency_id: Any = None,
    signal_id: Any = None,
    of_strategy: Any = None,
    symbol: Any = None,
    side: Any = None,
    status: Any = None,
    is_paper: Any = None,
    strategy_id: Any = None,
    timestamp: Span = ANY_TIME,
    newest_first: bool = True,
) -> Listing:
    """Trades ordered by time. of_strategy is the parent, strategy_id a filter; both can be given."""
    trade = Trade.rows()
    criteria = [
        owned(trade.c.user_id, viewer),
        equal_to(trade.c.user_id, of_user),
        equal_to(trade.c.cryptocurrency_id, cryptocurrency_id),
        equal_to(trade.c.signal_id, signal_id),
        _of_strategy(trade.c.signal_id, of_strategy),
        of_symbol(trade.c.cryptocurrency_id, symbol),
        equal_to(trade.c.side, side),
        equal_to(trade.c.status, status),
        equal_to(trade.c.is_paper, is_paper),
        _of_strategy(trade.c.signal_id, strategy_id),
        *in_span(trade.c.timestamp, timestamp),
    ]
    return ordered_by_time(filtered(select(trade), criteria), "trades", newest_first=newest_first)


def _of_strategy(signal_id: Any, strategy_id: Any) -> Criterion:
    """The trades whose signal belongs to this strategy."""
    if strategy_id is None:
        return None
    signal = Signal.rows()
    signals = select(signal.c.id).where(signal.c.strategy_id == strategy_id).correlate_except(signal)
    found: ColumnElement[bool] = signal_id.in_(signals)
    return found
