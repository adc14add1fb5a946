"""A fault of PostgreSQL: LISTEN connections are terminated, and no client may connect again until it is over."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import asyncpg
from sqlalchemy import URL

from tests.soak.faults import DEAF, Fault

LISTENERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'candlegraph' AND datname = $1 AND query ~* 'listen|pg_postmaster_start_time'
"""


def deaf(url: URL) -> Fault:
    """The open connections of the servers' pools go on working: all answers are computed."""
    database = url.database
    # A connection to the database itself could not lock it.
    dsn = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)

    async def execute(*work: tuple[str, *tuple[Any, ...]]) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in work:
                await connection.execute(*statement)
        finally:
            await connection.close()

    def run(work: Awaitable[None]) -> None:
        asyncio.run(work)

    lock = f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS %s'
    return Fault(
        DEAF,
        lambda: run(execute((lock % "false",), (LISTENERS, database))),
        lambda: run(execute((lock % "true",))),
    )
