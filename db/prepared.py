"""Reads by prepared statements, on the driver's own connections under SQLAlchemy's pool.

JSON stays in the bytes that PostgreSQL sent. On small reads this is twice as fast: SQLAlchemy's connection layer costs
more than PostgreSQL's answer.
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
from db.deadlines import GRACE_SECONDS, limited_timeout
from db.errors import DatabaseUnavailable, Overloaded, ends_connection, translate
from db.observer import NullObserver, Observer, OutcomeReporter
from db.row_security import set_viewer

log = structlog.get_logger("candlegraph.db")
# Keys of a pooled connection's info. JSON is returned as bytes only on connections that were used here: SQLAlchemy
# parses JSON itself, for example when Alembic inspects the tables.
OPENED_AT = "opened_at"
JSON_IS_BYTES = "json_is_bytes"
JSON_BYTES_CODEC = {"schema": "pg_catalog", "encoder": bytes, "decoder": bytes, "format": "binary"}
# How long to wait for PostgreSQL to confirm that it cancelled a statement.
CANCEL_SECONDS = 0.5

DRIVER_SETTINGS = {
    # Prepared statements cached per connection, of any length; PostgreSQL holds some 100 kB for each.
    "statement_cache_size": 100,
    "max_cacheable_statement_size": 0,
}


class PreparedReads:
    """Runs statements that are a text with placeholders $1, $2, … and return one row of JSON."""

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
        event.listen(self._engine, "connect", _record_opened_at)

    async def fetch_row(
        self, statement: str, values: Sequence[Any], *, cache_statement: bool, viewer: str | None = None
    ) -> Sequence[bytes | None]:
        """The first row. cache_statement: whether the connection keeps the statement prepared. viewer: see db.engine.

        Raises a db.errors.DatabaseError. Tries once more if the connection turns out to be dead: a read can be
        repeated.
        """
        if self._echo:
            log.debug("statement", statement=statement)
        with OutcomeReporter(self._observer):
            return await self._fetch_with_slot(statement, values, cache_statement, viewer)

    async def _fetch_with_slot(
        self, statement: str, values: Sequence[Any], cache_statement: bool, viewer: str | None
    ) -> Sequence[bytes | None]:
        requested_at = time.perf_counter()
        if not self._queue.acquire_nowait():
            await self._wait_for_slot(requested_at)
        acquired_at = time.perf_counter()
        try:
            try:
                return await self._fetch(statement, values, cache_statement, viewer, requested_at)
            except _ConnectionLost:
                return await self._fetch(statement, values, cache_statement, viewer, time.perf_counter())
        except _ConnectionLost as error:
            raise translate(error.reason) from error.reason
        except Exception as error:
            raise translate(error) from error
        finally:
            self._queue.release(time.perf_counter() - acquired_at)

    async def _wait_for_slot(self, requested_at: float) -> None:
        try:
            await self._queue.acquire(limited_timeout(self._timeout_seconds))
        except Overloaded:
            self._observer.on_wait(time.perf_counter() - requested_at)
            raise

    async def _fetch(
        self, statement: str, values: Sequence[Any], cache_statement: bool, viewer: str | None, requested_at: float
    ) -> Sequence[bytes | None]:
        connection = await self._checkout()
        started_at = time.perf_counter()
        self._observer.on_wait(started_at - requested_at)
        driver: Any = connection.driver_connection
        is_set_up = False
        try:
            if JSON_IS_BYTES not in connection.info:
                await driver.set_type_codec("json", **JSON_BYTES_CODEC)
                connection.info[JSON_IS_BYTES] = True
            is_set_up = True
            if viewer is not None and self._rls_enabled:
                await set_viewer(viewer, connection.info, driver)
            timeout = limited_timeout(self._timeout_seconds) + GRACE_SECONDS
            if cache_statement:
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
            # Timed out, cancelled or disconnected. If the session was still being set up, its state is unknown.
            if not (is_set_up and await _is_cancelled(driver)):
                connection.invalidate(error)
            raise
        finally:
            self._observer.on_run(time.perf_counter() - started_at)
            await self._check_in(connection)
        answer: Sequence[bytes | None] = row
        return answer

    async def _check_in(self, connection: PoolProxiedConnection) -> None:
        """Return a connection to the pool. One beyond the pool's size is closed instead, which waits for the server."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)
        if pool.checkedin() < pool.size():
            connection.close()
        else:
            await greenlet_spawn(connection.close)

    async def _checkout(self) -> PoolProxiedConnection:
        while True:
            try:
                # An idle connection is available immediately, without the greenlet in which SQLAlchemy waits.
                connection = self._engine.pool.connect()
            except MissingGreenlet:
                connection = await self._connect()
            driver: Any = connection.driver_connection
            # When a connection is lost, others opened before that are most likely dead too, even if not yet noticed.
            if not driver.is_closed() and connection.info[OPENED_AT] > self._lost_at:
                return connection
            connection.invalidate()

    async def _connect(self) -> PoolProxiedConnection:
        try:
            async with asyncio.timeout(limited_timeout(self._timeout_seconds)):
                return await greenlet_spawn(self._engine.pool.connect)
        except TimeoutError as error:
            raise DatabaseUnavailable("The database cannot be reached.") from error


async def _is_cancelled(driver: Any) -> bool:
    """Whether the abandoned statement has ended, so that the connection can be reused.

    The driver has sent PostgreSQL a cancel request. Closing the connection would abort that request, and PostgreSQL
    would run the statement to its end.
    """
    try:
        async with asyncio.timeout(CANCEL_SECONDS):
            # The driver waits for the confirmation of the cancel first; the query then shows that the session works.
            await driver.execute("SELECT 1")
    except BaseException as error:
        if not isinstance(error, Exception):
            driver.terminate()
            raise
        return False
    return True


class _ConnectionLost(Exception):
    """The connection was closed while it ran the statement."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _record_opened_at(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[OPENED_AT] = time.monotonic()
