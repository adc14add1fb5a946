"""Queries for cryptocurrencies."""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select

from db.models import Cryptocurrency
from db.queries.listings import Listing, equal_to, filtered, one_of


def by_id(key: Any) -> Select[Any]:
    coin = Cryptocurrency.rows()
    return select(coin).where(coin.c.id == key)


def by_symbol(symbol: Any) -> Select[Any]:
    """The coin with this symbol, case-insensitive."""
    coin = Cryptocurrency.rows()
    return select(coin).where(coin.c.symbol == func.upper(symbol))


def listing(*, symbols: Any = None, is_active: Any = None, search: Any = None) -> Listing:
    """Coins in the order of their creation. symbols: in upper case.

    search: a substring of the symbol or the name, case-insensitive.
    """
    coin = Cryptocurrency.rows()
    matches = None if search is None else or_(_contains(coin.c.symbol, search), _contains(coin.c.name, search))
    criteria = [one_of(coin.c.symbol, symbols), equal_to(coin.c.is_active, is_active), matches]
    return Listing(filtered(select(coin), criteria), "cryptocurrencies", ("id",))


def _contains(column: Any, part: Any) -> ColumnElement[bool]:
    return func.strpos(func.lower(column), func.lower(part)) > 0
