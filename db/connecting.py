"""A circuit breaker for new connections: while the server does not respond, one attempt at a time probes it."""

import time
from typing import Any

import asyncpg

# While the server does not respond, attempts are this far apart; requests between two attempts fail immediately.
PAUSE_SECONDS = 0.25
# An attempt that was cancelled after this long counts as one that got no response.
NO_RESPONSE_SECONDS = 1.0


class ConnectionFactory:
    """Opens connections for one pool."""

    def __init__(self) -> None:
        self._failed_at: float | None = None
        self._is_trying = False

    def __call__(self, *args: Any, **kwargs: Any) -> "_PendingConnection":
        return _PendingConnection(self, args, kwargs)

    async def open(self, *args: Any, **kwargs: Any) -> Any:
        """A connection of the driver. Raises the driver's errors, and OSError."""
        if self._failed_at is None:
            return await self._try(*args, **kwargs)
        if self._is_trying or time.monotonic() - self._failed_at < PAUSE_SECONDS:
            raise ConnectionError("The server did not respond a moment ago.")
        self._is_trying = True
        try:
            return await self._try(*args, **kwargs)
        finally:
            self._is_trying = False

    async def _try(self, *args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        try:
            connection = await asyncpg.connect(*args, **kwargs)
        except BaseException as error:
            now = time.monotonic()
            if isinstance(error, OSError) or now - began > NO_RESPONSE_SECONDS:
                self._failed_at = now
            elif isinstance(error, asyncpg.PostgresError):
                self._failed_at = None
            raise
        self._failed_at = None
        return connection


class _PendingConnection:
    """An awaitable that opens a connection. Unlike a coroutine, it can be dropped without being awaited; see
    PreparedReads._checkout.
    """

    def __init__(self, factory: ConnectionFactory, args: Any, kwargs: Any) -> None:
        self._factory = factory
        self._args = args
        self._kwargs = kwargs

    def __await__(self) -> Any:
        return self._factory.open(*self._args, **self._kwargs).__await__()
