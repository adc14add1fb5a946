from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select

from db.models import Cryptocurrency
from db.queries.listings import Listing, among, equal, narrowed


def by_id(key: Any) -> Select[Any]:
    coin = Cryptocurrency.rows()
    return select(coin).where(coin.c.id == key)


def by_symbol(symbol: Any) -> Select[Any]:
    """The coin of this symbol, in any case."""
    coin = Cryptocurrency.rows()
    return select(coin).where(coin.c.symbol == func.upper(symbol))


def listing(*, symbols: Sequence[str] | None = None, is_active: Any = None, search: Any = None) -> Listing:
    """Coins in the order in which they were added. search is part of a symbol or a name, in any case."""
    coin = Cryptocurrency.rows()
    found = None
    if search is not None:
        found = or_(coin.c.symbol.icontains(search, autoescape=True), coin.c.name.icontains(search, autoescape=True))
    wanted = None if symbols is None else [symbol.upper() for symbol in symbols]
    criteria = [among(coin.c.symbol, wanted), equal(coin.c.is_active, is_active), found]
    return Listing(narrowed(select(coin), criteria), "cryptocurrencies", ("id",))
