"""Writes of cryptocurrencies: add and change."""

import re
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from db.engine import Connection
from db.models import Cryptocurrency
from db.writes.validation import ValidationError, not_found, raise_field_errors, text_error, validation_error

COIN = Cryptocurrency.table()
SYMBOL = re.compile(r"[A-Za-z0-9._-]{1,20}", re.ASCII)
MAX_NAME = 100


class Coin(NamedTuple):
    """The columns of a coin that writes need."""

    id: int
    symbol: str
    base_interval: str


async def add(connection: Connection, *, symbol: str, **values: Any) -> int:
    """Add a coin; return its key. values: name, base_interval, coin_gecko_id, is_active. Raises ValidationError."""
    if not SYMBOL.fullmatch(symbol):
        raise validation_error(
            "INVALID_TEXT", "symbol", "A symbol has 1 to 20 letters, digits, dots, hyphens or underscores."
        )
    _check(**values)
    statement = insert(COIN).values(symbol=symbol.upper(), **values).returning(COIN.c.id)
    return await _execute(connection, statement)


async def change(connection: Connection, symbol: str, changes: dict[str, Any]) -> int:
    """Change a coin's name, coin_gecko_id or is_active; return its key. Raises ValidationError."""
    _check(**changes)
    if not SYMBOL.fullmatch(symbol):
        raise not_found("symbol", "cryptocurrency")
    values = {"id": COIN.c.id, **changes}
    statement = update(COIN).where(COIN.c.symbol == symbol.upper()).values(**values).returning(COIN.c.id)
    return await _execute(connection, statement)


async def by_symbol(connection: Connection, symbol: str, field: str = "symbol") -> Coin:
    """The coin with this symbol, case-insensitive. field: the input field to report. Raises ValidationError."""
    rows = select(COIN.c.id, COIN.c.symbol, COIN.c.base_interval).where(COIN.c.symbol == symbol.upper())
    found = (await connection.execute(rows)).one_or_none() if SYMBOL.fullmatch(symbol) else None
    if found is None:
        raise not_found(field, "cryptocurrency")
    return Coin(*found)


async def _execute(connection: Connection, statement: Any) -> int:
    try:
        key: int | None = (await connection.execute(statement)).scalar_one_or_none()
    except IntegrityError as error:
        raise _conflict(error) from error
    if key is None:
        raise not_found("symbol", "cryptocurrency")
    return key


def _conflict(error: IntegrityError) -> ValidationError:
    if "coin_gecko_id" in str(error.orig):
        return validation_error("ALREADY_EXISTS", "coin_gecko_id", "Another coin has this CoinGecko id.")
    return validation_error("ALREADY_EXISTS", "symbol", "A coin with this symbol already exists.")


def _check(name: str | None = None, coin_gecko_id: str | None = None, **_: object) -> None:
    raise_field_errors(text_error("name", name, MAX_NAME), text_error("coin_gecko_id", coin_gecko_id, MAX_NAME))
