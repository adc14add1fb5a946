"""Advisory locks that belong to a session: of all processes on one database, one at most holds each.

PostgreSQL releases them when the session ends, so a process that was killed holds none. A holder whose connection broke
may notice it later than PostgreSQL does: for some seconds two processes may run what the lock protects.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from db.engine import Database
from db.errors import DatabaseUnavailable, translate

# How often a holder checks that its session still answers.
CHECK_SECONDS = 1.0
# A statement that takes longer costs the connection, and with it the locks.
STATEMENT_SECONDS = 5.0
# PostgreSQL ends a session whose machine is gone after KEEPALIVE_IDLE_SECONDS + 3 * KEEPALIVE_INTERVAL_SECONDS. The
# system's default is over two hours. Settings of a session over a Unix socket have no effect.
KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS = 5, 2


class AdvisoryLocks:
    """The locks of one process, all in one session.

    Its connection is not part of the pool and opens with the first acquire(). It needs a session of its own: a pooler
    in between must not share it (PgBouncer: session pooling).
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None
        self._stack = AsyncExitStack()
        # The driver runs one statement at a time.
        self._is_free = asyncio.Lock()
        self._held: set[str] = set()
        self._blocks: dict[str, asyncio.Timeout] = {}

    def holds(self, name: str) -> bool:
        return name in self._held

    async def acquire(self, name: str) -> bool:
        """Whether this process holds the lock, from now on or already. Never waits for another holder.

        Raises a db.errors.DatabaseError.
        """
        async with self._is_free:
            if name not in self._held and await self._fetch(_TRY_LOCK, name):
                self._held.add(name)
            return name in self._held

    async def release(self, name: str) -> None:
        """Let another process acquire the lock. Raises a db.errors.DatabaseError; the lock is released all the same."""
        async with self._is_free:
            if name in self._held:
                self._held.discard(name)
                await self._fetch(_UNLOCK, name)

    async def check(self) -> None:
        """Check that the session of the held locks still answers. Raises a db.errors.DatabaseError if it does not."""
        async with self._is_free:
            if self._held:
                await self._fetch(_PING)

    @asynccontextmanager
    async def while_held(self, name: str) -> AsyncIterator[None]:
        """Cancels its block when the lock is lost, and raises DatabaseUnavailable instead."""
        if name not in self._held:
            raise _lost()
        try:
            async with asyncio.timeout(None) as block:
                self._blocks[name] = block
                yield
        except TimeoutError:
            if block.expired():
                raise _lost() from None
            raise
        finally:
            self._blocks.pop(name, None)

    async def close(self) -> None:
        """End the session, and with it all locks."""
        self._lose(self._connection)
        await self._stack.aclose()

    async def _fetch(self, statement: str, *arguments: str) -> Any:
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = await self._connect()
        late = asyncio.get_running_loop().call_later(STATEMENT_SECONDS, connection.terminate)
        try:
            return await connection.fetchval(statement, *arguments)
        except BaseException as error:
            # Whether the statement took effect is unknown. Without its session, no lock is held for certain.
            connection.terminate()
            self._lose(connection)
            raise (translate(error) if isinstance(error, Exception) else error) from error
        finally:
            late.cancel()

    async def _connect(self) -> Any:
        await self.close()
        connection = await self._stack.enter_async_context(self._database.dedicated_connection())
        self._connection = connection
        connection.add_termination_listener(self._lose)
        await self._fetch(_SET_KEEPALIVE)
        return connection

    def _lose(self, connection: Any) -> None:
        """Called when a connection is closed, also for one that was replaced: its locks are lost."""
        if connection is not self._connection:
            return
        self._connection = None
        self._held.clear()
        for block in self._blocks.values():
            if not block.expired():
                block.reschedule(0)


def _lost() -> DatabaseUnavailable:
    return DatabaseUnavailable("The connection that held the lock was lost.")


# Locks with a number belong to a database. Two installations in one database differ in their schema.
_KEY = "hashtextextended(concat_ws('/', 'candlegraph', current_database(), current_schema(), $1::text), 0)"
_TRY_LOCK = f"SELECT pg_try_advisory_lock({_KEY})"
_UNLOCK = f"SELECT pg_advisory_unlock({_KEY})"
_PING = "SELECT 1"
_SET_KEEPALIVE = f"""
    SELECT set_config('tcp_keepalives_idle', '{KEEPALIVE_IDLE_SECONDS}', false),
        set_config('tcp_keepalives_interval', '{KEEPALIVE_INTERVAL_SECONDS}', false),
        set_config('tcp_keepalives_count', '3', false)
"""
