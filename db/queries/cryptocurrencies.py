from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select

from db.models import Cryptocurrency
from db.queries.listings import Listing, among, equal, narrowed


def by_id(key: Any) -> Select[Any]:
    coin = Cryptocurrency.rows()
    return select(coin).where(coin.c.id == key)


def by_symbol(symbol: Any) -> Select[Any]:
    """The coin of this symbol, in any case."""
    coin = Cryptocurrency.rows()
    return select(coin).where(coin.c.symbol == func.upper(symbol))


def listing(*, symbols: Any = None, is_active: Any = None, search: Any = None) -> Listing:
    """Coins in the order in which they were added. symbols are in capitals.

    search is part of a symbol or a name, in any case.
    """
    coin = Cryptocurrency.rows()
    found = None if search is None else or_(_contains(coin.c.symbol, search), _contains(coin.c.name, search))
    criteria = [among(coin.c.symbol, symbols), equal(coin.c.is_active, is_active), found]
    return Listing(narrowed(select(coin), criteria), "cryptocurrencies", ("id",))


def _contains(column: Any, part: Any) -> ColumnElement[bool]:
    return func.strpos(func.lower(column), func.lower(part)) > 0
