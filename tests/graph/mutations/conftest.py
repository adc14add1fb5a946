"""People who write to a database of their own that has the demo data."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL

from tests.graph.mutations.people import People, Person, people


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
        yield found.anonymous
