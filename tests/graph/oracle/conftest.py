import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import URL

from tests.conftest import TEMPLATE, create_database
from tests.graph.oracle.harness import Bench, PatientDatabase
from tests.graph.oracle.rows import nasty_rows


@pytest.fixture(scope="session")
def bench(postgres: URL, template: URL) -> Iterator[Bench]:
    """The nasty rows, in a database of their own. Whoever adds rows removes them."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        url = runner.run(create_database(postgres, "oracle", template=TEMPLATE))
        database = PatientDatabase(url, pool_size=5)
        try:
            yield Bench(runner, database, nasty_rows())
            assert database.pool_in_use == 0
        finally:
            runner.run(database.close())
