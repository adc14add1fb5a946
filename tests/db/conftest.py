"""Fixtures for tests of the database layer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL, text

from db.engine import Database
from tests.conftest import TEMPLATE, create_database


@pytest.fixture(scope="session")
def people_url(postgres: URL, template: URL) -> URL:
    return asyncio.run(create_database(postgres, "people", template=TEMPLATE))


@pytest.fixture
async def people(people_url: URL) -> AsyncIterator[Database]:
    """A database without users. All tests share one, which is emptied: creating one takes longer than such a test."""
    database = Database(people_url, pool_size=5)
    async with database.transaction() as connection:
        await connection.execute(text("DELETE FROM users"))
    yield database
    assert database.pool_in_use == 0
    await database.close()
