"""New connections: while nobody answers at the other end, not everyone waits for that."""

import time
from typing import Any

import asyncpg

# While nobody answers, one at a time tries, with pauses; all others are told at once.
PAUSE_SECONDS = 0.25
# An attempt that was given up after so long counts as one that nobody answered.
LONG_SECONDS = 1.0


class Connector:
    """Opens connections for one pool."""

    def __init__(self) -> None:
        self._failed_at: float | None = None
        self._is_trying = False

    def __call__(self, *args: Any, **kwargs: Any) -> "_Connecting":
        return _Connecting(self, args, kwargs)

    async def open(self, *args: Any, **kwargs: Any) -> Any:
        """The driver's connection. Raises its errors, and OSError."""
        if self._failed_at is None:
            return await self._try(*args, **kwargs)
        if self._is_trying or time.monotonic() - self._failed_at < PAUSE_SECONDS:
            raise ConnectionError("Nobody answered a moment ago.")
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
            if isinstance(error, OSError) or now - began > LONG_SECONDS:
                self._failed_at = now
            elif isinstance(error, asyncpg.PostgresError):
                self._failed_at = None
            raise
        self._failed_at = None
        return connection


class _Connecting:
    """A connection to be: unlike a coroutine, it may be thrown away. See PreparedReads._checkout."""

    def __init__(self, connector: Connector, args: Any, kwargs: Any) -> None:
        self._connector = connector
        self._args = args
        self._kwargs = kwargs

    def __await__(self) -> Any:
        return self._connector.open(*self._args, **self._kwargs).__await__()
