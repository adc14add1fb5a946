"""A real PostgreSQL for the whole run, and a freshly copied, migrated database for every test that asks for one."""

import asyncio
import gc
import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from db import demo, migrate
from db.embedded import EmbeddedPostgres
from db.engine import Database
from db.settle import settle
from tests import redis_server
from tests.application import Client, serving

TEMPLATE, DEMO_TEMPLATE = "template_candlegraph", "template_demo"
# The demo data ends here: answers can be written down.
DEMO_NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
redis_url = redis_server.redis_url
_numbers = itertools.count(1)


@pytest.fixture(autouse=True, scope="module")
def _no_long_collections() -> None:
    """What is there stays, and is looked through no more.

    Late in a run, a full collection would stop a worker for two seconds: longer than what many tests wait for.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real candles that are not part of the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real candles are not here")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """The server's own database, for creating others beside it."""
    # Not below pytest's own folder: each run closes that to other users, and the server runs as one for root.
    with tempfile.TemporaryDirectory(prefix="candlegraph-", ignore_cleanup_errors=True) as folder:
        embedded = EmbeddedPostgres(Path(folder))
        url = embedded.open()
        asyncio.run(_hurried(url))
        yield url
        embedded.close()


async def _hurried(postgres: URL) -> None:
    """Nothing has to outlive the machine: to write it all to disk takes longer than many of the tests.

    Nor does anything happen by itself: autovacuum's ANALYZE takes a transaction id, and an answer in Redis that has not
    seen it is nothing to a server that began to listen later.
    """
    server = Database(postgres, pool_size=1)
    async with server.engine.connect() as connection:
        await connection.execute(text("ALTER SYSTEM SET fsync = off"))
        await connection.execute(text("ALTER SYSTEM SET autovacuum = off"))
        await connection.execute(text("SELECT pg_reload_conf()"))
    await server.close()


@pytest.fixture(scope="session")
def template(postgres: URL) -> URL:
    """A migrated, empty database that others are copied from."""

    async def prepare() -> URL:
        url = await create_database(postgres, TEMPLATE)
        database = Database(url, pool_size=1)
        await migrate.upgrade(database)
        await database.close()
        return url

    return asyncio.run(prepare())


@pytest.fixture(scope="session")
def demo_template(postgres: URL, template: URL) -> str:
    """The name of a database with the demo data, which nobody is connected to, so that others are copied from it."""

    async def prepare() -> None:
        url = await create_database(postgres, DEMO_TEMPLATE, template=TEMPLATE)
        database = Database(url, pool_size=1)
        await demo.load(database, DEMO_NOW)
        # What the server would settle in its first minute is settled, so that no answer depends on who asks first.
        async with database.transaction() as connection:
            await settle(connection)
        await database.close()

    asyncio.run(prepare())
    return DEMO_TEMPLATE


@pytest.fixture(scope="session")
def demo_url(postgres: URL, demo_template: str) -> URL:
    """A database with the demo data, for tests that only read."""
    return asyncio.run(create_database(postgres, "demo", template=demo_template))


@pytest.fixture
async def client(demo_url: URL) -> AsyncIterator[Client]:
    """A client of the application on the demo data."""
    async with serving(demo_url) as client:
        yield client


@pytest.fixture
async def database_url(postgres: URL, template: URL) -> URL:
    return await create_database(postgres, f"test_{next(_numbers)}", template=TEMPLATE)


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    """An empty, migrated database. The test must give back every connection that it takes."""
    database = Database(database_url, pool_size=5)
    yield database
    assert database.pool_in_use == 0
    await database.close()


async def create_database(postgres: URL, name: str, template: str = "template0") -> URL:
    server = Database(postgres, pool_size=1)
    async with server.engine.connect() as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    await server.close()
    return postgres.set(database=name)
