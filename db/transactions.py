"""Transactions, to the end: either PostgreSQL has confirmed it, or whoever asked is told otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from db.deadlines import time_left
from db.errors import DatabaseError, StatementTimeout, Unconfirmed, ends_connection, translate

log = structlog.get_logger("candlegraph.db")
COMMITTED = "COMMIT"
# So long PostgreSQL may take to roll back, before the connection is closed instead, which does the same.
ROLLBACK_SECONDS = 1.0
# So long it may take to commit, whoever waits: without its word, nobody knows what became of the transaction.
COMMIT_SECONDS = 30.0


@asynccontextmanager
async def transaction_on(connection: AsyncConnection) -> AsyncIterator[None]:
    """The rest of a transaction that has begun: committed at the end of the block, rolled back by an exception.

    Raises a db.errors.DatabaseError: StatementTimeout where the block outlasts the deadline (db/deadlines.py),
    Unconfirmed where PostgreSQL did not say what became of the transaction. A connection whose state is not known is
    closed: nothing resets it on its way back into the pool.
    """
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        async with asyncio.timeout(time_left()) as time_for_it:
            yield
    except BaseException as error:
        await _roll_back(connection, driver)
        if time_for_it.expired() and isinstance(error, TimeoutError):
            raise StatementTimeout("The time for this request is over: nothing was changed.") from error
        raise
    try:
        await _commit(driver)
    finally:
        await _discard_unless_ended(connection, driver)


async def _commit(driver: Any) -> None:
    try:
        said = await driver.execute("COMMIT", timeout=COMMIT_SECONDS)
    except asyncpg.PostgresError as error:
        # What is checked at the end, such as a deferred constraint, refuses for certain.
        if driver.is_closed() or ends_connection(error):
            raise _unconfirmed() from error
        raise translate(error) from error
    except Exception as error:
        raise _unconfirmed() from error
    if said != COMMITTED:
        # PostgreSQL answers so where a statement failed before, whatever was made of its error.
        raise DatabaseError("The transaction was rolled back: a statement in it had failed.")


def _unconfirmed() -> Unconfirmed:
    message = "The connection to the database was lost before the change was confirmed: look whether it took place."
    return Unconfirmed(message)


async def _roll_back(connection: AsyncConnection, driver: Any) -> None:
    try:
        if not connection.invalidated and not driver.is_closed():
            await driver.execute("ROLLBACK", timeout=ROLLBACK_SECONDS)
    except Exception as error:
        log.debug("rollback_failed", error=type(error).__name__)
    finally:
        await _discard_unless_ended(connection, driver)


async def _discard_unless_ended(connection: AsyncConnection, driver: Any) -> None:
    if not connection.invalidated and (driver.is_closed() or driver.is_in_transaction()):
        await connection.invalidate()
