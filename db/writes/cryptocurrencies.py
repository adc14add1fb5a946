import re
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from db.engine import Connection
from db.models import Cryptocurrency
from db.writes.validation import ValidationError, invalid, missing, raise_problems, text_problem

COIN = Cryptocurrency.table()
SYMBOL = re.compile(r"[A-Za-z0-9._-]{1,20}", re.ASCII)
MAX_NAME = 100


class Coin(NamedTuple):
    id: int
    symbol: str
    base_interval: str


async def add(connection: Connection, *, symbol: str, **values: Any) -> int:
    """A new coin's key. values: name, base_interval, coin_gecko_id, is_active. Raises ValidationError."""
    if not SYMBOL.fullmatch(symbol):
        raise invalid("INVALID_TEXT", "symbol", "A symbol has 1 to 20 letters, digits, dots, hyphens or underscores.")
    _check(**values)
    statement = insert(COIN).values(symbol=symbol.upper(), **values).returning(COIN.c.id)
    return await _written(connection, statement)


async def change(connection: Connection, symbol: str, changes: dict[str, Any]) -> int:
    """Give these values to a coin: name, coin_gecko_id, is_active; return its key. Raises ValidationError."""
    _check(**changes)
    if not SYMBOL.fullmatch(symbol):
        raise missing("symbol", "cryptocurrency")
    values = {"id": COIN.c.id, **changes}
    statement = update(COIN).where(COIN.c.symbol == symbol.upper()).values(**values).returning(COIN.c.id)
    return await _written(connection, statement)


async def find(connection: Connection, symbol: str, field: str = "symbol") -> Coin:
    """The coin of this symbol, in any case. Raises ValidationError."""
    rows = select(COIN.c.id, COIN.c.symbol, COIN.c.base_interval).where(COIN.c.symbol == symbol.upper())
    found = (await connection.execute(rows)).one_or_none() if SYMBOL.fullmatch(symbol) else None
    if found is None:
        raise missing(field, "cryptocurrency")
    return Coin(*found)


async def _written(connection: Connection, statement: Any) -> int:
    try:
        key: int | None = (await connection.execute(statement)).scalar_one_or_none()
    except IntegrityError as error:
        raise _taken(error) from error
    if key is None:
        raise missing("symbol", "cryptocurrency")
    return key


def _taken(error: IntegrityError) -> ValidationError:
    if "coin_gecko_id" in str(error.orig):
        return invalid("ALREADY_EXISTS", "coin_gecko_id", "Another coin has this id at CoinGecko.")
    return invalid("ALREADY_EXISTS", "symbol", "There is a coin with this symbol already.")


def _check(name: str | None = None, coin_gecko_id: str | None = None, **_: object) -> None:
    raise_problems(text_problem("name", name, MAX_NAME), text_problem("coin_gecko_id", coin_gecko_id, MAX_NAME))
