"""Activity of PostgreSQL, observed by a connection that is not part of the test."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import URL

from tests.waiting import eventually

RUNNING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state <> 'idle' AND query LIKE $1 AND pid <> pg_backend_pid()
"""
BACKENDS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Activity:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def running(self, part: str) -> int:
        """The number of statements with this part in their text that run, or whose transaction is idle."""
        count: int = await self._connection.fetchval(RUNNING, f"%{part}%")
        return count

    async def backends(self) -> int:
        count: int = await self._connection.fetchval(BACKENDS)
        return count

    async def seconds_until(self, part: str, number: int) -> float:
        """Seconds until this number of such statements run. An AssertionError after five."""
        started = time.monotonic()

        async def are_running() -> bool:
            return await self.running(part) == number

        await eventually(are_running, 5)
        return time.monotonic() - started


@asynccontextmanager
async def watching(url: URL) -> AsyncIterator[Activity]:
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        yield Activity(connection)
    finally:
        await connection.close()
