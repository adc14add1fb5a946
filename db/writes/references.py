"""Validation of foreign keys in the input of a write."""

from typing import Any

from sqlalchemy import Select

from db.engine import Connection
from db.writes.cryptocurrencies import Coin
from db.writes.validation import not_found, validation_error


async def referenced_row(connection: Connection, rows: Select[Any], field: str, *, about: Coin | None = None) -> Any:
    """The referenced row. rows: a query that returns it if the viewer may see it. field: the input field, such as
    "signal_id". about: the coin that the row must belong to.

    Raises ValidationError.
    """
    noun = field.removesuffix("_id")
    found = (await connection.execute(rows)).one_or_none()
    if found is None:
        raise not_found(field, noun)
    if about is not None and found.cryptocurrency_id != about.id:
        raise validation_error("MISMATCH", field, f"This {noun} is not about {about.symbol}.")
    return found
