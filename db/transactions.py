"""Commit and rollback: success is reported only once PostgreSQL has confirmed the commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from db.deadlines import remaining_seconds
from db.errors import CommitUnconfirmed, DatabaseError, StatementTimeout, ends_connection, translate

log = structlog.get_logger("candlegraph.db")
# PostgreSQL's command tag for a successful COMMIT; a failed transaction gets ROLLBACK.
COMMITTED = "COMMIT"
# Timeout of ROLLBACK. After that the connection is closed, which has the same effect.
ROLLBACK_SECONDS = 1.0
# Timeout of COMMIT, whatever the request's deadline: without the confirmation the outcome is unknown.
COMMIT_SECONDS = 30.0


@asynccontextmanager
async def transaction_on(connection: AsyncConnection) -> AsyncIterator[None]:
    """Commit the connection's open transaction at the end of the block, or roll it back on an exception.

    Raises a db.errors.DatabaseError: StatementTimeout if the block outlasts the deadline (db/deadlines.py),
    CommitUnconfirmed if PostgreSQL did not confirm the commit. A connection in an unknown state is closed, because the
    pool does not reset connections on return.
    """
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        async with asyncio.timeout(remaining_seconds()) as timer:
            yield
    except BaseException as error:
        await _roll_back(connection, driver)
        if timer.expired() and isinstance(error, TimeoutError):
            raise StatementTimeout("The deadline of this request has passed: nothing was changed.") from error
        raise
    try:
        await _commit(driver)
    finally:
        await _discard_unless_ended(connection, driver)


async def _commit(driver: Any) -> None:
    try:
        command_tag = await driver.execute("COMMIT", timeout=COMMIT_SECONDS)
    except asyncpg.PostgresError as error:
        # A check that runs at commit, such as a deferred constraint, failed: the transaction is certainly rolled back.
        if driver.is_closed() or ends_connection(error):
            raise _unconfirmed() from error
        raise translate(error) from error
    except Exception as error:
        raise _unconfirmed() from error
    if command_tag != COMMITTED:
        # PostgreSQL rolls back if a statement failed earlier, even if its error was caught.
        raise DatabaseError("The transaction was rolled back: a statement in it had failed.")


def _unconfirmed() -> CommitUnconfirmed:
    message = "The connection to the database was lost before the change was confirmed: check whether it was made."
    return CommitUnconfirmed(message)


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
