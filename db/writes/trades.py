"""Writes of trades: record, and decide a pending one."""

from decimal import Decimal
from typing import Any

from sqlalchemy import insert, select, update

from db.engine import Connection
from db.models import Trade
from db.queries import signals
from db.queries.listings import present_criteria
from db.queries.viewers import Viewer, owned
from db.writes import cryptocurrencies
from db.writes.references import referenced_row
from db.writes.validation import money_error, not_found, raise_field_errors, time_error, validation_error

TRADE = Trade.table()


async def record(
    connection: Connection,
    viewer: Viewer,
    user_id: int,
    *,
    symbol: str,
    price: Decimal,
    quantity: Decimal,
    pnl: Decimal | None = None,
    signal_id: int | None = None,
    **values: Any,
) -> int:
    """Record a trade; return its key. It belongs to the user of its signal; without a signal, to this user.

    values: side, status, is_paper, timestamp. Raises ValidationError.
    """
    raise_field_errors(
        money_error("price", price),
        money_error("quantity", quantity),
        money_error("pnl", pnl, positive=False),
        time_error("timestamp", values.get("timestamp")),
    )
    if pnl is not None and values.get("status") != "EXECUTED":
        raise validation_error("INVALID_STATUS", "pnl", "Only an executed trade has a profit or loss.")
    coin = await cryptocurrencies.by_symbol(connection, symbol)
    if signal_id is not None:
        await referenced_row(connection, signals.by_id(viewer, signal_id), "signal_id", about=coin)
    statement = insert(TRADE).values(
        cryptocurrency_id=coin.id,
        user_id=user_id,
        signal_id=signal_id,
        price=price,
        quantity=quantity,
        pnl=pnl,
        **values,
    )
    key: int = (await connection.execute(statement.returning(TRADE.c.id))).scalar_one()
    return key


async def change(
    connection: Connection, viewer: Viewer, key: int, *, status: str | None = None, pnl: Decimal | None = None
) -> int:
    """Change a pending trade to EXECUTED or FAILED, or set the profit or loss of an executed one. Returns its key.

    Raises ValidationError.
    """
    raise_field_errors(money_error("pnl", pnl, positive=False))
    criteria = present_criteria([TRADE.c.id == key, owned(TRADE.c.user_id, viewer)])
    rows = select(TRADE.c.status).where(*criteria).with_for_update()
    old_status = (await connection.execute(rows)).scalar_one_or_none()
    if old_status is None:
        raise not_found("id", "trade")
    new_status = status or old_status
    if new_status != old_status and (old_status != "PENDING" or new_status == "PENDING"):
        message = f"This trade is {old_status}: only a PENDING trade can change, to EXECUTED or FAILED."
        raise validation_error("INVALID_STATUS", "status", message)
    if pnl is not None and new_status != "EXECUTED":
        raise validation_error("INVALID_STATUS", "pnl", "Only an executed trade has a profit or loss.")
    changes: dict[str, Any] = {"status": new_status} if pnl is None else {"status": new_status, "pnl": pnl}
    await connection.execute(update(TRADE).where(TRADE.c.id == key).values(**changes))
    return key
