"""Connections to PostgreSQL: one pool, single-statement reads in autocommit, transactions for writes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import URL, Executable, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from db import row_security
from db.connecting import Connector
from db.connection_queue import ConnectionQueue
from db.deadlines import HEAD_START_SECONDS, seconds_left
from db.errors import DatabaseError, DatabaseUnavailable, translate
from db.observer import NullObserver, Observer, StatementOutcome
from db.prepared import DRIVER_SETTINGS, PreparedReads
from db.transactions import transaction_on

DatabaseUrl: TypeAlias = URL
Connection: TypeAlias = AsyncConnection

TIMEOUT_SECONDS = 10.0
SERVER_SETTINGS = {
    "application_name": "candlegraph",
    "timezone": "UTC",
    # Compiling a nested statement to machine code costs more than running it.
    "jit": "off",
    # Statements are found by index, whatever their parameters; planning them anew each time costs as much as they do.
    "plan_cache_mode": "force_generic_plan",
    # What is read often is in memory, where an index is as good as a scan; with 4, rows are sorted that an index has.
    "random_page_cost": "1.1",
    # The statements of a process that was killed end too.
    "client_connection_check_interval": "1s",
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "5s",
}
CONNECT_TIMEOUT_SECONDS = 5
SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}


@dataclass(frozen=True)
class DatabaseProbe:
    """What one look at the database found. message is None when all is well."""

    message: str | None
    latency_ms: float | None = None
    version: str | None = None
    migration: str | None = None

    @property
    def alive(self) -> bool:
        return self.message is None


def driver_url(url: str) -> URL:
    """A URL for our driver, from any of the usual spellings (postgres://, postgresql://, with sslmode).

    Raises ValueError with a readable message.
    """
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        raise ValueError("it is not a URL like postgresql://user:password@host:5432/database") from None
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+asyncpg"):
        raise ValueError(f"Candlegraph speaks PostgreSQL only, not {parsed.drivername}")
    parsed = parsed.set(drivername="postgresql+asyncpg")
    if mode := parsed.query.get("sslmode"):
        if mode not in SSL_MODES:
            raise ValueError(f"sslmode must be one of {', '.join(sorted(SSL_MODES))}")
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    # Others mean something to libpq alone, and nothing is lost without them.
    parsed = parsed.difference_update_query(["application_name", "channel_binding", "connect_timeout"])
    if unknown := set(parsed.query) - {"host", "port", "ssl"}:
        raise ValueError(f"its parameter {min(unknown)} is not supported")
    return parsed


@dataclass(frozen=True)
class Reader:
    """The database as one viewer sees it. viewer is what db.row_security.viewer_setting() says."""

    database: "Database"
    viewer: str

    async def fetch_value(self, statement: Executable) -> Any:
        """The first column of the first row. Raises a db.errors.DatabaseError."""
        return await self.database.fetch_value(statement, viewer=self.viewer)

    async def fetch_rows(self, statement: Executable) -> list[Any]:
        """All rows, as tuples. Raises a db.errors.DatabaseError."""
        return await self.database.fetch_rows(statement, viewer=self.viewer)


class Database:
    """A pool of connections. Nothing connects before the first statement."""

    def __init__(
        self,
        url: URL,
        *,
        pool_size: int = 10,
        max_overflow: int = 0,
        timeout_seconds: float = TIMEOUT_SECONDS,
        embedded: bool = False,
        rls_enabled: bool = False,
        observer: Observer | None = None,
        echo: bool = False,
    ) -> None:
        """timeout_seconds: for a statement, and as much for its wait, unless db/deadlines.py says less.

        rls_enabled: whether sessions see the private rows of one viewer only; the tables must have been migrated.
        """
        self.embedded = embedded
        self.rls_enabled = rls_enabled
        self.most_connections = pool_size + max_overflow
        self._observer = observer or NullObserver()
        self._timeout_seconds = timeout_seconds
        self.queue = ConnectionQueue(self.most_connections)
        self._looks: set[asyncio.Task[DatabaseProbe]] = set()
        self._session = {**SERVER_SETTINGS, "statement_timeout": f"{round(timeout_seconds * 1000)}ms"}
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=max_overflow,
            echo=echo,
            # Neither the log nor an error tells them: they may be hashes of passwords.
            hide_parameters=True,
            # Whoever has a turn finds a connection; see db/connection_queue.py.
            pool_timeout=timeout_seconds,
            # A read is one statement: no BEGIN before it, and no ROLLBACK when its connection goes back.
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            connect_args={
                "server_settings": {**self._session, **({"role": row_security.ROLE} if rls_enabled else {})},
                "timeout": CONNECT_TIMEOUT_SECONDS,
                "async_creator_fn": Connector(),
                **DRIVER_SETTINGS,
            },
        )
        self.prepared = PreparedReads(
            self.engine,
            queue=self.queue,
            timeout_seconds=timeout_seconds,
            rls_enabled=rls_enabled,
            observer=observer,
            echo=echo,
        )

    def seen_by(self, viewer: str) -> Reader:
        return Reader(self, viewer)

    async def fetch_value(self, statement: Executable, *, viewer: str | None = None, first: bool = False) -> Any:
        """The first column of the first row. Raises a db.errors.DatabaseError."""
        rows = await self.fetch_rows(statement, viewer=viewer, first=first)
        return rows[0][0] if rows else None

    async def fetch_rows(self, statement: Executable, *, viewer: str | None = None, first: bool = False) -> list[Any]:
        """All rows, as tuples. viewer: who looks, for statements that read private tables. first: before all who wait.

        Raises a db.errors.DatabaseError.
        """
        with StatementOutcome(self._observer):
            try:
                return await self._read(statement, viewer, first)
            except Exception as error:
                raise translate(error) from error

    async def _read(self, statement: Executable, viewer: str | None, first: bool) -> list[Any]:
        """All rows. A connection that turns out to be dead costs one more try: a read may be repeated."""
        try:
            return await self._execute(statement, viewer, first)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return await self._execute(statement, viewer, first)

    async def _execute(self, statement: Executable, viewer: str | None, first: bool) -> list[Any]:
        # PostgreSQL ends a statement itself; this is for one that waited, and for a server that is cut off or stopped.
        asked_at = time.perf_counter()
        timeout = seconds_left(self._timeout_seconds) + HEAD_START_SECONDS
        async with asyncio.timeout(timeout), self.connect(first=first) as connection:
            started_at = time.perf_counter()
            self._observer.waited(started_at - asked_at)
            try:
                if viewer is not None and self.rls_enabled:
                    await row_security.set_viewer(
                        viewer, connection.info, (await connection.get_raw_connection()).driver_connection
                    )
                return list((await connection.execute(statement)).all())
            finally:
                self._observer.ran(time.perf_counter() - started_at)

    @asynccontextmanager
    async def connect(self, *, first: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection in autocommit. first: before all who wait for one.

        Raises a db.errors.DatabaseError where there is none to be had.
        """
        async with self.queue.slot(seconds_left(self._timeout_seconds), first=first), AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(self.engine.connect())
            except TimeoutError as error:
                raise DatabaseUnavailable("The database cannot be reached.") from error
            except Exception as error:
                raise translate(error) from error
            yield connection

    @asynccontextmanager
    async def connect_alone(self) -> AsyncIterator[Any]:
        """The driver's own connection, no part of the pool, until the end of the block. Raises a DatabaseError."""
        _, where = self.engine.dialect.create_connect_args(self.engine.url)
        try:
            driver = await asyncpg.connect(**where, server_settings=self._session, timeout=CONNECT_TIMEOUT_SECONDS)
        except Exception as error:
            raise translate(error) from error
        try:
            yield driver
        finally:
            # To close it politely might take for ever.
            driver.terminate()

    @asynccontextmanager
    async def transaction(self, *, viewer: str | None = None) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back by an exception.

        viewer: who writes, and sees but the rows of their own. Without one, the walls are down.

        Raises what db.transactions.transaction_on() raises, and Conflict where it should be run again (db/retries.py).
        """
        try:
            async with self._begun() as connection, transaction_on(connection):
                if self.rls_enabled:
                    await connection.execute(*row_security.set_transaction_viewer(viewer))
                yield connection
        except DBAPIError as error:
            raise translate(error) from error

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction. One that turns out to be dead costs one more try: nothing was asked of it."""
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self.connect())
            try:
                await connection.exec_driver_sql(_BEGIN)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                await stack.aclose()
                connection = await stack.enter_async_context(self.connect())
                await connection.exec_driver_sql(_BEGIN)
            yield connection

    async def probe(self, timeout_seconds: float = 1.0) -> DatabaseProbe:
        """Look at the database without ever hanging on it."""
        looking = asyncio.create_task(self._look())
        self._looks.add(looking)
        looking.add_done_callback(self._looks.discard)
        # Not asyncio.timeout: a connection that is given up takes two more seconds to close.
        await asyncio.wait({looking}, timeout=timeout_seconds)
        if not looking.done():
            looking.cancel()
            return DatabaseProbe(f"No answer within {timeout_seconds:g} s.")
        return looking.result()

    async def _look(self) -> DatabaseProbe:
        started = time.perf_counter()
        try:
            version, is_migrated = (await self.fetch_rows(text(_PROBE), first=True))[0]
            latency_ms = round((time.perf_counter() - started) * 1000, 3)
            migration = await self.fetch_value(text(_MIGRATION), first=True) if is_migrated else None
        except DatabaseError as error:
            return DatabaseProbe(str(error))
        except Exception as error:  # a probe never fails: it tells
            return DatabaseProbe(f"The database cannot be asked: {type(error).__name__}.")
        message = None if migration else "The database has no tables yet: run candlegraph db upgrade."
        return DatabaseProbe(message, latency_ms, version, migration)

    @property
    def pool_size(self) -> int:
        return self._pool.size()

    @property
    def pool_in_use(self) -> int:
        return self._pool.checkedout()

    @property
    def _pool(self) -> QueuePool:
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return pool

    async def close(self) -> None:
        await self.engine.dispose()


_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_MIGRATION = "SELECT max(version_num) FROM alembic_version"
_PROBE = "SELECT current_setting('server_version'), to_regclass('alembic_version') IS NOT NULL"
