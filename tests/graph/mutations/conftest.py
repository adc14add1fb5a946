"""A database with the demo data that these tests write to, and servers on it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL

from tests.application import Client, serving
from tests.conftest import create_database
from tests.graph.mutations.asking import signed_in
from tests.graph.mutations.people import People, Person, people


@pytest.fixture(scope="session")
def written_url(postgres: URL, demo_template: str) -> URL:
    return asyncio.run(create_database(postgres, "written", template=demo_template))


@pytest.fixture
async def open_client(written_url: URL) -> AsyncIterator[Client]:
    """Where everybody may do everything."""
    async with serving(written_url) as client:
        yield client


@pytest.fixture
async def alice(written_url: URL) -> AsyncIterator[Client]:
    """Somebody who may write, where people sign in."""
    async with signed_in(written_url) as client:
        yield client


@pytest.fixture
async def bob(written_url: URL) -> AsyncIterator[Client]:
    async with signed_in(written_url) as client:
        yield client


@pytest.fixture
async def all_(database_url: URL) -> AsyncIterator[People]:
    """Where people must sign in."""
    async with people(database_url) as found:
        yield found


@pytest.fixture
def ann(all_: People) -> Person:
    return all_.ann


@pytest.fixture
async def anybody(database_url: URL) -> AsyncIterator[Person]:
    """Somebody who did not sign in, where nobody has to."""
    async with people(database_url, auth_mode="open", secret_key=None) as found:
        yield found.stranger
