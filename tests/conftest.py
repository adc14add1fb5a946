"""Fixtures: a real PostgreSQL for the whole run, and a copy of a migrated database for each test that uses one."""

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
# The end of the demo data. It is fixed, so that tests can quote answers.
DEMO_NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
redis_url = redis_server.redis_url
_numbers = itertools.count(1)


@pytest.fixture(autouse=True, scope="module")
def _freeze_existing_objects() -> None:
    """Exclude all existing objects from garbage collection.

    Late in a run, a full collection would stop a worker for two seconds, which is longer than many tests wait.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real candles that are not part of the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real candles are not available")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """The maintenance database of the server, from which other databases are created."""
    # Not in pytest's temporary folder: only its user may read that, and if root runs the tests, the server has another.
    with tempfile.TemporaryDirectory(prefix="candlegraph-", ignore_cleanup_errors=True) as folder:
        embedded = EmbeddedPostgres(Path(folder))
        url = embedded.open()
        asyncio.run(_configure_for_tests(url))
        yield url
        embedded.close()


async def _configure_for_tests(postgres: URL) -> None:
    """Turn fsync off, because waiting for the disk takes longer than many tests.

    Turn autovacuum off, because its ANALYZE takes a transaction id: a server that starts to listen later does not use
    an answer in Redis whose snapshot is older than that transaction.
    """
    server = Database(postgres, pool_size=1)
    async with server.engine.connect() as connection:
        await connection.execute(text("ALTER SYSTEM SET fsync = off"))
        await connection.execute(text("ALTER SYSTEM SET autovacuum = off"))
        await connection.execute(text("SELECT pg_reload_conf()"))
    await server.close()


@pytest.fixture(scope="session")
def template(postgres: URL) -> URL:
    """An empty, migrated database, from which others are copied."""

    async def prepare() -> URL:
        url = await create_database(postgres, TEMPLATE)
        database = Database(url, pool_size=1)
        await migrate.upgrade(database)
        await database.close()
        return url

    return asyncio.run(prepare())


@pytest.fixture(scope="session")
def demo_template(postgres: URL, template: URL) -> str:
    """The name of a database with the demo data. It has no connections, so that others can be copied from it."""

    async def prepare() -> None:
        url = await create_database(postgres, DEMO_TEMPLATE, template=TEMPLATE)
        database = Database(url, pool_size=1)
        await demo.load(database, DEMO_NOW)
        # The server settles these predictions in its first minute: answers must not depend on when they are read.
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
    """An empty, migrated database of one test."""
    return await create_database(postgres, f"test_{next(_numbers)}", template=TEMPLATE)


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    """The database of `database_url`. The test must release every connection that it acquires."""
    database = Database(database_url, pool_size=5)
    yield database
    assert database.pool_in_use == 0
    await database.close()


async def create_database(postgres: URL, name: str, template: str = "template0") -> URL:
    """The URL of a new database, which is a copy of the template."""
    server = Database(postgres, pool_size=1)
    async with server.engine.connect() as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    await server.close()
    return postgres.set(database=name)
