from typing import Any

from sqlalchemy import ColumnElement, Select, select

from db.models import Signal, Trade
from db.queries.listings import ALWAYS, Criterion, Listing, Span, by_time, equal, narrowed, of_symbol, within
from db.queries.viewers import Viewer, own


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    trade = Trade.rows()
    return narrowed(select(trade).where(trade.c.id == key), [own(trade.c.user_id, viewer)])


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
    timestamp: Span = ALWAYS,
    newest_first: bool = True,
) -> Listing:
    """Trades in the order of their time. of_strategy is the parent, strategy_id a filter: both may be given."""
    trade = Trade.rows()
    criteria = [
        own(trade.c.user_id, viewer),
        equal(trade.c.user_id, of_user),
        equal(trade.c.cryptocurrency_id, cryptocurrency_id),
        equal(trade.c.signal_id, signal_id),
        _of_strategy(trade.c.signal_id, of_strategy),
        of_symbol(trade.c.cryptocurrency_id, symbol),
        equal(trade.c.side, side),
        equal(trade.c.status, status),
        equal(trade.c.is_paper, is_paper),
        _of_strategy(trade.c.signal_id, strategy_id),
        *within(trade.c.timestamp, timestamp),
    ]
    return by_time(narrowed(select(trade), criteria), "trades", newest_first=newest_first)


def _of_strategy(signal_id: Any, strategy_id: Any) -> Criterion:
    """A trade belongs to the strategy of its signal."""
    if strategy_id is None:
        return None
    signal = Signal.rows()
    signals = select(signal.c.id).where(signal.c.strategy_id == strategy_id).correlate_except(signal)
    found: ColumnElement[bool] = signal_id.in_(signals)
    return found
