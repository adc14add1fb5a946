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

from db.errors import DatabaseUnavailable, ends_connection, translate
from db.observer import Nobody, Observer, ends_told_to
from db.walls import show_to

log = structlog.get_logger("candlegraph.db")
# What is noted of a connection. JSON stays bytes only on those that have served here: SQLAlchemy reads it itself, when
# Alembic has it look at the tables.
OPENED_AT = "opened_at"
JSON_IS_BYTES = "json_is_bytes"
JSON_AS_IT_CAME = {"schema": "pg_catalog", "encoder": bytes, "decoder": bytes, "format": "binary"}


class _Connecting:
    """A connection to be: unlike a coroutine, it may be thrown away. See PreparedReads._checkout."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._args = args
        self._kwargs = kwargs

    def __await__(self) -> Any:
        return asyncpg.connect(*self._args, **self._kwargs).__await__()


DRIVER_SETTINGS = {
    "async_creator_fn": _Connecting,
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
        connections: int,
        read_timeout_seconds: float,
        checkout_timeout_seconds: float,
        has_walls: bool = False,
        observer: Observer | None = None,
        echo: bool = False,
    ) -> None:
        self._engine = engine.sync_engine
        self._observer = observer or Nobody()
        self._echo = echo
        self._has_walls = has_walls
        self._read_timeout_seconds = read_timeout_seconds
        self._checkout_timeout_seconds = checkout_timeout_seconds
        # The pool's own queue lets latecomers overtake, and some wait until they time out.
        self._turns = asyncio.Semaphore(connections)
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
        with ends_told_to(self._observer):
            return await self._fetch_in_turn(statement, values, keep, viewer)

    async def _fetch_in_turn(
        self, statement: str, values: Sequence[Any], keep: bool, viewer: str | None
    ) -> Sequence[bytes | None]:
        asked_at = time.perf_counter()
        await self._wait_for_turn()
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
            self._turns.release()

    async def _wait_for_turn(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        try:
            async with asyncio.timeout(self._checkout_timeout_seconds):
                await self._turns.acquire()
        except TimeoutError as error:
            self._observer.waited(self._checkout_timeout_seconds)
            raise DatabaseUnavailable("Every connection to the database is busy.") from error

    async def _fetch(
        self, statement: str, values: Sequence[Any], keep: bool, viewer: str | None, asked_at: float
    ) -> Sequence[bytes | None]:
        connection = await self._checkout()
        started_at = time.perf_counter()
        self._observer.waited(started_at - asked_at)
        driver: Any = connection.driver_connection
        try:
            if JSON_IS_BYTES not in connection.info:
                await driver.set_type_codec("json", **JSON_AS_IT_CAME)
                connection.info[JSON_IS_BYTES] = True
            if viewer is not None and self._has_walls:
                await show_to(viewer, connection.info, driver)
            if keep:
                row = await driver.fetchrow(statement, *values, timeout=self._read_timeout_seconds)
            else:
                async with asyncio.timeout(self._read_timeout_seconds):
                    row = await (await driver.prepare(statement)).fetchrow(*values)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if not (driver.is_closed() or ends_connection(error)):
                raise
            connection.invalidate(error)
            self._lost_at = time.monotonic()
            raise _ConnectionLost(error) from error
        except BaseException as error:
            # Cut off, late or cancelled: nobody knows what is still under way.
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
                try:
                    connection = await greenlet_spawn(self._engine.pool.connect)
                except TimeoutError as error:
                    raise DatabaseUnavailable("The database cannot be reached.") from error
            driver: Any = connection.driver_connection
            # Where one was lost, so were those that are as old, most likely, whether they know it or not.
            if not driver.is_closed() and connection.info[OPENED_AT] > self._lost_at:
                return connection
            connection.invalidate()


class _ConnectionLost(Exception):
    """The connection was closed under the statement."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _note_opening(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[OPENED_AT] = time.monotonic()
