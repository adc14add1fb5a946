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
from db.connecting import ConnectionFactory
from db.connection_queue import ConnectionQueue
from db.deadlines import GRACE_SECONDS, limited_timeout
from db.errors import DatabaseError, DatabaseUnavailable, translate
from db.observer import NullObserver, Observer, OutcomeReporter
from db.prepared import DRIVER_SETTINGS, PreparedReads
from db.transactions import transaction_on

DatabaseUrl: TypeAlias = URL
Connection: TypeAlias = AsyncConnection

TIMEOUT_SECONDS = 10.0
SERVER_SETTINGS = {
    "application_name": "candlegraph",
    "timezone": "UTC",
    # JIT compilation of a nested statement costs more than running it.
    "jit": "off",
    # Statements use an index whatever their parameters; planning each execution anew costs as much as running it.
    "plan_cache_mode": "force_generic_plan",
    # Frequently read pages are in memory, where random access is cheap; at the default of 4, the planner sorts rows
    # that an index already has in order.
    "random_page_cost": "1.1",
    # Ends the statements of a client process that was killed.
    "client_connection_check_interval": "1s",
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "5s",
}
CONNECT_TIMEOUT_SECONDS = 5
SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}


@dataclass(frozen=True)
class DatabaseProbe:
    """Result of a health check of the database. message is None if it is healthy."""

    message: str | None
    latency_ms: float | None = None
    version: str | None = None
    migration: str | None = None

    @property
    def alive(self) -> bool:
        return self.message is None


def driver_url(url: str) -> URL:
    """A URL for asyncpg, from any of the usual forms (postgres://, postgresql://, with sslmode).

    Raises ValueError with a message for the user.
    """
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        raise ValueError("it is not a URL like postgresql://user:password@host:5432/database") from None
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+asyncpg"):
        raise ValueError(f"Candlegraph supports PostgreSQL only, not {parsed.drivername}")
    parsed = parsed.set(drivername="postgresql+asyncpg")
    if mode := parsed.query.get("sslmode"):
        if mode not in SSL_MODES:
            raise ValueError(f"sslmode must be one of {', '.join(sorted(SSL_MODES))}")
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    # These parameters concern only libpq and can be dropped.
    parsed = parsed.difference_update_query(["application_name", "channel_binding", "connect_timeout"])
    if unknown := set(parsed.query) - {"host", "port", "ssl"}:
        raise ValueError(f"its parameter {min(unknown)} is not supported")
    return parsed


@dataclass(frozen=True)
class DatabaseReader:
    """Reads with the row visibility of one viewer. viewer: a result of db.row_security.viewer_setting()."""

    database: "Database"
    viewer: str

    async def fetch_value(self, statement: Executable) -> Any:
        """The first column of the first row. Raises a db.errors.DatabaseError."""
        return await self.database.fetch_value(statement, viewer=self.viewer)

    async def fetch_rows(self, statement: Executable) -> list[Any]:
        """All rows, as tuples. Raises a db.errors.DatabaseError."""
        return await self.database.fetch_rows(statement, viewer=self.viewer)


class Database:
    """A pool of connections. The first statement opens the first connection."""

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
        """timeout_seconds: for a statement, and again for its wait for a connection, unless db/deadlines.py sets less.

        rls_enabled: whether row-level security limits sessions to the private rows of one viewer; needs the migrations.
        """
        self.embedded = embedded
        self.rls_enabled = rls_enabled
        self.max_connections = pool_size + max_overflow
        self._observer = observer or NullObserver()
        self._timeout_seconds = timeout_seconds
        self.queue = ConnectionQueue(self.max_connections)
        self._probes: set[asyncio.Task[DatabaseProbe]] = set()
        self._session = {**SERVER_SETTINGS, "statement_timeout": f"{round(timeout_seconds * 1000)}ms"}
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=max_overflow,
            echo=echo,
            # Keep parameters out of logs and errors: they may be password hashes.
            hide_parameters=True,
            # Never reached: a slot in the queue guarantees a free connection in the pool (db/connection_queue.py).
            pool_timeout=timeout_seconds,
            # A read is one statement: no BEGIN before it, no ROLLBACK when its connection returns to the pool.
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            connect_args={
                "server_settings": {**self._session, **({"role": row_security.ROLE} if rls_enabled else {})},
                "timeout": CONNECT_TIMEOUT_SECONDS,
                "async_creator_fn": ConnectionFactory(),
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

    def reader_for(self, viewer: str) -> DatabaseReader:
        """Reads as this viewer: a result of db.row_security.viewer_setting()."""
        return DatabaseReader(self, viewer)

    async def fetch_value(self, statement: Executable, *, viewer: str | None = None, jump_queue: bool = False) -> Any:
        """The first column of the first row. Raises a db.errors.DatabaseError."""
        rows = await self.fetch_rows(statement, viewer=viewer, jump_queue=jump_queue)
        return rows[0][0] if rows else None

    async def fetch_rows(
        self, statement: Executable, *, viewer: str | None = None, jump_queue: bool = False
    ) -> list[Any]:
        """All rows, as tuples. viewer: needed for statements that read private tables, see DatabaseReader.

        jump_queue: ahead of all requests that wait for a connection. Raises a db.errors.DatabaseError.
        """
        with OutcomeReporter(self._observer):
            try:
                return await self._read(statement, viewer, jump_queue)
            except Exception as error:
                raise translate(error) from error

    async def _read(self, statement: Executable, viewer: str | None, jump_queue: bool) -> list[Any]:
        """All rows. Tries once more if the connection turns out to be dead: a read can be repeated."""
        try:
            return await self._execute(statement, viewer, jump_queue)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return await self._execute(statement, viewer, jump_queue)

    async def _execute(self, statement: Executable, viewer: str | None, jump_queue: bool) -> list[Any]:
        # PostgreSQL enforces statement_timeout itself; this timeout covers waiting, and a server that is stopped or
        # unreachable.
        requested_at = time.perf_counter()
        timeout = limited_timeout(self._timeout_seconds) + GRACE_SECONDS
        async with asyncio.timeout(timeout), self.connect(jump_queue=jump_queue) as connection:
            started_at = time.perf_counter()
            self._observer.on_wait(started_at - requested_at)
            try:
                if viewer is not None and self.rls_enabled:
                    await row_security.set_viewer(
                        viewer, connection.info, (await connection.get_raw_connection()).driver_connection
                    )
                return list((await connection.execute(statement)).all())
            finally:
                self._observer.on_run(time.perf_counter() - started_at)

    @asynccontextmanager
    async def connect(self, *, jump_queue: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection in autocommit. jump_queue: ahead of all requests that wait for one.

        Raises a db.errors.DatabaseError if no connection is available.
        """
        async with (
            self.queue.slot(limited_timeout(self._timeout_seconds), jump_queue=jump_queue),
            AsyncExitStack() as stack,
        ):
            try:
                connection = await stack.enter_async_context(self.engine.connect())
            except TimeoutError as error:
                raise DatabaseUnavailable("The database cannot be reached.") from error
            except Exception as error:
                raise translate(error) from error
            yield connection

    @asynccontextmanager
    async def dedicated_connection(self) -> AsyncIterator[Any]:
        """A driver connection outside the pool, closed at the end of the block. Raises a db.errors.DatabaseError."""
        _, address = self.engine.dialect.create_connect_args(self.engine.url)
        try:
            driver = await asyncpg.connect(**address, server_settings=self._session, timeout=CONNECT_TIMEOUT_SECONDS)
        except Exception as error:
            raise translate(error) from error
        try:
            yield driver
        finally:
            # Not close(): it waits for the server, without a timeout.
            driver.terminate()

    @asynccontextmanager
    async def transaction(self, *, viewer: str | None = None) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back by an exception.

        viewer: limits visible private rows to those of this viewer. Without one, the transaction runs as the owner of
        the tables, and row-level security is bypassed.

        Raises what db.transactions.transaction_on() raises, and Conflict if it should be run again (db/retries.py).
        """
        try:
            async with self._begin() as connection, transaction_on(connection):
                if self.rls_enabled:
                    await connection.execute(*row_security.set_transaction_viewer(viewer))
                yield connection
        except DBAPIError as error:
            raise translate(error) from error

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction. Tries once more if it turns out to be dead: no statement ran on it."""
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
        """A health check that takes no longer than the timeout."""
        probe = asyncio.create_task(self._probe())
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)
        # Not asyncio.timeout: it would wait for the cancelled connection to close, two more seconds.
        await asyncio.wait({probe}, timeout=timeout_seconds)
        if not probe.done():
            probe.cancel()
            return DatabaseProbe(f"No answer within {timeout_seconds:g} s.")
        return probe.result()

    async def _probe(self) -> DatabaseProbe:
        started = time.perf_counter()
        try:
            version, is_migrated = (await self.fetch_rows(text(_PROBE), jump_queue=True))[0]
            latency_ms = round((time.perf_counter() - started) * 1000, 3)
            migration = await self.fetch_value(text(_MIGRATION), jump_queue=True) if is_migrated else None
        except DatabaseError as error:
            return DatabaseProbe(str(error))
        except Exception as error:  # a probe reports any failure instead of raising it
            return DatabaseProbe(f"The database cannot be queried: {type(error).__name__}.")
        message = None if migration else "The database has no tables yet: run candlegraph db upgrade."
        return DatabaseProbe(message, latency_ms, version, migration)

    @property
    def pool_size(self) -> int:
        """Connections that the pool keeps open; max_connections adds the overflow."""
        return self._pool.size()

    @property
    def pool_in_use(self) -> int:
        """Connections that are checked out."""
        return self._pool.checkedout()

    @property
    def _pool(self) -> QueuePool:
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return pool

    async def close(self) -> None:
        """Close the pool's idle connections."""
        await self.engine.dispose()


_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_MIGRATION = "SELECT max(version_num) FROM alembic_version"
_PROBE = "SELECT current_setting('server_version'), to_regclass('alembic_version') IS NOT NULL"
