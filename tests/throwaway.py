"""A PostgreSQL for one run, which leaves nothing behind."""

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
    """A migrated database of this name, and a folder for what else the run needs, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="candlegraph-", ignore_cleanup_errors=True) as folder:
        embedded = EmbeddedPostgres(Path(folder))
        try:
            url = asyncio.run(create_database(embedded.open(), name))
            asyncio.run(migrated(url))
            yield url, Path(folder)
        finally:
            embedded.close()


async def migrated(url: URL) -> None:
    database = Database(url, pool_size=1)
    try:
        await migrate.upgrade(database)
    finally:
        await database.close()


def end_tidily_on_sigterm() -> None:
    """As Ctrl-C does: what was started is ended on the way out."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
