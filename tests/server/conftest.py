"""A server that listens, for all tests that only read."""

from collections.abc import Iterator

import pytest
from sqlalchemy import URL

from tests.application import application
from tests.server.listening import listening


@pytest.fixture(scope="session")
def served(demo_url: URL) -> Iterator[str]:
    """The address of a server on the demo data."""
    with listening(application(demo_url)) as (_, address):
        yield address
