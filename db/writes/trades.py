from decimal import Decimal
from typing import Any

from sqlalchemy import insert, select, update

from db.engine import Connection
from db.models import Trade
from db.queries import signals
from db.queries.listings import met
from db.queries.viewers import Viewer, own
from db.writes import cryptocurrencies
from db.writes.references import referred
from db.writes.validation import invalid, missing, money_problem, raise_problems, time_problem

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
    """A new trade's key. It belongs to the user of its signal, or else to this one.

    values: side, status, is_paper, timestamp. Raises ValidationError.
    """
    raise_problems(
        money_problem("price", price),
        money_problem("quantity", quantity),
        money_problem("pnl", pnl, positive=False),
        time_problem("timestamp", values.get("timestamp")),
    )
    if pnl is not None and values.get("status") != "EXECUTED":
        raise invalid("INVALID_STATUS", "pnl", "Only an executed trade has a profit or loss.")
    coin = await cryptocurrencies.find(connection, symbol)
    if signal_id is not None:
        await referred(connection, signals.by_id(viewer, signal_id), "signal_id", about=coin)
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
    """Decide a pending trade, once: EXECUTED or FAILED; tell what an executed one earned. Returns its key.

    Raises ValidationError.
    """
    raise_problems(money_problem("pnl", pnl, positive=False))
    mine = met([TRADE.c.id == key, own(TRADE.c.user_id, viewer)])
    before = (await connection.execute(select(TRADE.c.status).where(*mine).with_for_update())).scalar_one_or_none()
    if before is None:
        raise missing("id", "trade")
    after = status or before
    if after != before and (before != "PENDING" or after == "PENDING"):
        message = f"This trade is {before}: only a pending one is decided, and it becomes EXECUTED or FAILED."
        raise invalid("INVALID_STATUS", "status", message)
    if pnl is not None and after != "EXECUTED":
        raise invalid("INVALID_STATUS", "pnl", "Only an executed trade has a profit or loss.")
    changes: dict[str, Any] = {"status": after} if pnl is None else {"status": after, "pnl": pnl}
    await connection.execute(update(TRADE).where(TRADE.c.id == key).values(**changes))
    return key
