"""What a new row refers to, as whoever writes it may see that."""

from typing import Any

from sqlalchemy import Select

from db.engine import Connection
from db.writes.cryptocurrencies import Coin
from db.writes.validation import invalid, missing


async def referred(connection: Connection, rows: Select[Any], field: str, *, about: Coin | None = None) -> Any:
    """The one row. field: that of the input, such as "signal_id". about: the coin that the row must be about.

    Raises ValidationError.
    """
    noun = field.removesuffix("_id")
    found = (await connection.execute(rows)).one_or_none()
    if found is None:
        raise missing(field, noun)
    if about is not None and found.cryptocurrency_id != about.id:
        raise invalid("MISMATCH", field, f"This {noun} is not about {about.symbol}.")
    return found
