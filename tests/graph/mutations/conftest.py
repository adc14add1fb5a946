"""Clients of an application with a database of its own: signed in, and anonymous in open mode."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL

from tests.graph.mutations.people import People, Person, people


@pytest.fixture
async def all_(database_url: URL) -> AsyncIterator[People]:
    """Clients of a server that requires authentication."""
    async with people(database_url) as found:
        yield found


@pytest.fixture
def ann(all_: People) -> Person:
    return all_.ann


@pytest.fixture
async def anonymous(database_url: URL) -> AsyncIterator[Person]:
    """A client without credentials, of a server in open mode."""
    async with people(database_url, auth_mode="open", secret_key=None) as found:
        yield found.anonymous
