"""A temporary PostgreSQL for one run, which is removed at its end."""

import asyncio
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from db import migrate
from db.embedded import EmbeddedPostgres
from db.engine import Database
from tests.conftest import create_database


@contextmanager
def throwaway(name: str) -> Iterator[tuple[URL, Path]]:
    """The URL of a migrated database, and a folder for other files of the run. Both are removed after the block."""
    with tempfile.TemporaryDirectory(prefix="candlegraph-", ignore_cleanup_errors=True) as folder:
        embedded = EmbeddedPostgres(Path(folder))
        try:
            url = asyncio.run(create_database(embedded.open(), name))
            asyncio.run(migrate_database(url))
            yield url, Path(folder)
        finally:
            embedded.close()


async def migrate_database(url: URL) -> None:
    """Upgrade a database to the newest migration."""
    database = Database(url, pool_size=1)
    try:
        await migrate.upgrade(database)
    finally:
        await database.close()


def interrupt_on_sigterm() -> None:
    """Handle SIGTERM as Ctrl-C, so that context managers end what they started."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
