"""Reads by prepared statements, on the driver's own connections under SQLAlchemy's pool.

JSON stays the bytes that it came as. On small reads this is worth a factor of two: SQLAlchemy's connection costs more
than PostgreSQL's answer.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
import structlog
from sqlalchemy import event
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool
from sqlalchemy.util import greenlet_spawn

from db.connection_queue import ConnectionQueue
from db.deadlines import HEAD_START_SECONDS, seconds_left
from db.errors import DatabaseUnavailable, Overloaded, ends_connection, translate
from db.observer import NullObserver, Observer, StatementOutcome
from db.row_security import set_viewer

log = structlog.get_logger("candlegraph.db")
# What is noted of a connection. JSON stays bytes only on those that have served here: SQLAlchemy reads it itself, when
# Alembic has it look at the tables.
OPENED_AT = "opened_at"
JSON_IS_BYTES = "json_is_bytes"
JSON_AS_IT_CAME = {"schema": "pg_catalog", "encoder": bytes, "decoder": bytes, "format": "binary"}
# So long PostgreSQL may take to confirm that it has cancelled a statement.
CANCEL_SECONDS = 0.5

DRIVER_SETTINGS = {
    # Statements that a connection keeps prepared, however long their text; PostgreSQL holds some 100 kB for each.
    "statement_cache_size": 100,
    "max_cacheable_statement_size": 0,
}


class PreparedReads:
    """Statements that are a text with $1, $2, … and answer with one row of JSON."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        queue: ConnectionQueue,
        timeout_seconds: float,
        rls_enabled: bool = False,
        observer: Observer | None = None,
        echo: bool = False,
    ) -> None:
        self._engine = engine.sync_engine
        self._observer = observer or NullObserver()
        self._echo = echo
        self._rls_enabled = rls_enabled
        self._queue = queue
        self._timeout_seconds = timeout_seconds
        self._lost_at = 0.0
        event.listen(self._engine, "connect", _note_opening)

    async def fetch_row(
        self, statement: str, values: Sequence[Any], *, keep: bool, viewer: str | None = None
    ) -> Sequence[bytes | None]:
        """The first row. keep: whether the connection should remember the statement. viewer: as db.engine has it.

        Raises a db.errors.DatabaseError. A connection that turns out to be dead costs one more try: a read may be
        repeated.
        """
        if self._echo:
            log.debug("statement", statement=statement)
        with StatementOutcome(self._observer):
            return await self._fetch_in_turn(statement, values, keep, viewer)

    async def _fetch_in_turn(
        self, statement: str, values: Sequence[Any], keep: bool, viewer: str | None
    ) -> Sequence[bytes | None]:
        asked_at = time.perf_counter()
        if not self._queue.acquire_nowait():
            await self._wait_for_turn(asked_at)
        taken_at = time.perf_counter()
        try:
            try:
                return await self._fetch(statement, values, keep, viewer, asked_at)
            except _ConnectionLost:
                return await self._fetch(statement, values, keep, viewer, time.perf_counter())
        except _ConnectionLost as error:
            raise translate(error.reason) from error.reason
        except Exception as error:
            raise translate(error) from error
        finally:
            self._queue.release(time.perf_counter() - taken_at)

    async def _wait_for_turn(self, asked_at: float) -> None:
        try:
            await self._queue.acquire(seconds_left(self._timeout_seconds))
        except Overloaded:
            self._observer.waited(time.perf_counter() - asked_at)
            raise

    async def _fetch(
        self, statement: str, values: Sequence[Any], keep: bool, viewer: str | None, asked_at: float
    ) -> Sequence[bytes | None]:
        connection = await self._checkout()
        started_at = time.perf_counter()
        self._observer.waited(started_at - asked_at)
        driver: Any = connection.driver_connection
        is_asking = False
        try:
            if JSON_IS_BYTES not in connection.info:
                await driver.set_type_codec("json", **JSON_AS_IT_CAME)
                connection.info[JSON_IS_BYTES] = True
            is_asking = True
            if viewer is not None and self._rls_enabled:
                await set_viewer(viewer, connection.info, driver)
            timeout = seconds_left(self._timeout_seconds) + HEAD_START_SECONDS
            if keep:
                row = await driver.fetchrow(statement, *values, timeout=timeout)
            else:
                async with asyncio.timeout(timeout):
                    row = await (await driver.prepare(statement)).fetchrow(*values)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if not (driver.is_closed() or ends_connection(error)):
                raise
            connection.invalidate(error)
            self._lost_at = time.monotonic()
            raise _ConnectionLost(error) from error
        except BaseException as error:
            # Late, cancelled or cut off. Of a session that was being set up, nobody knows how far that came.
            if not (is_asking and await _is_cancelled(driver)):
                connection.invalidate(error)
            raise
        finally:
            self._observer.ran(time.perf_counter() - started_at)
            await self._give_back(connection)
        answer: Sequence[bytes | None] = row
        return answer

    async def _give_back(self, connection: PoolProxiedConnection) -> None:
        """One too many for the pool is closed, which waits for the server."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)
        if pool.checkedin() < pool.size():
            connection.close()
        else:
            await greenlet_spawn(connection.close)

    async def _checkout(self) -> PoolProxiedConnection:
        while True:
            try:
                # An idle connection needs no waiting, nor the greenlet that SQLAlchemy waits in.
                connection = self._engine.pool.connect()
            except MissingGreenlet:
                connection = await self._connect()
            driver: Any = connection.driver_connection
            # Where one was lost, so were those that are as old, most likely, whether they know it or not.
            if not driver.is_closed() and connection.info[OPENED_AT] > self._lost_at:
                return connection
            connection.invalidate()

    async def _connect(self) -> PoolProxiedConnection:
        try:
            async with asyncio.timeout(seconds_left(self._timeout_seconds)):
                return await greenlet_spawn(self._engine.pool.connect)
        except TimeoutError as error:
            raise DatabaseUnavailable("The database cannot be reached.") from error


async def _is_cancelled(driver: Any) -> bool:
    """Whether the statement that was given up has ended, so that the connection can be used again.

    The driver has asked PostgreSQL to cancel it. To close the connection instead would call that off, and PostgreSQL
    would run the statement to its end.
    """
    try:
        async with asyncio.timeout(CANCEL_SECONDS):
            # It waits until PostgreSQL has confirmed; and what it asks shows that all is well.
            await driver.execute("SELECT 1")
    except BaseException as error:
        if not isinstance(error, Exception):
            driver.terminate()
            raise
        return False
    return True


class _ConnectionLost(Exception):
    """The connection was closed under the statement."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _note_opening(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[OPENED_AT] = time.monotonic()
