"""The bench that the tests here share, and what they try on it."""

import asyncio
import base64
from collections.abc import Iterator

import pytest
from sqlalchemy import URL

from tests.conftest import TEMPLATE, create_database
from tests.graph.oracle.harness import Bench, PatientDatabase
from tests.graph.oracle.meaning import RECORDS
from tests.graph.oracle.records import Candle
from tests.graph.oracle.reduction import Operation
from tests.graph.oracle.rows import nasty_rows
from tests.graph.oracle.values import Pool
from tests.graph.oracle.world import key_of

EVERYTHING = """
    cryptocurrencies(first: 100) { edges { cursor node { sentiment(first: 100) { edges { cursor } } } } }
    strategies(first: 100) { edges { cursor } }
    models(first: 100) { edges { cursor } }
"""
BY_TIME = ("predictions", "signals", "trades", "alerts")


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


@pytest.fixture(scope="session")
def pool(bench: Bench) -> Pool:
    """Ids of all rows and of some that do not exist, and the cursors of all rows."""
    both = [
        f"{name}{order}: {name}(first: 100, orderBy: {order}) {{ edges {{ cursor }} }}"
        for name in BY_TIME
        for order in ("NEWEST_FIRST", "OLDEST_FIRST")
    ]
    bench.check(Operation(f"{{ {EVERYTHING} {' '.join(both)} }}", {}))
    cursors: dict[tuple[str, bool], list[str]] = {}
    for place, text in sorted(bench.cursors.texts.items(), key=lambda item: (item[0].noun, item[0].keys)):
        cursors.setdefault((place.noun, place.newest_first), []).append(text)
    keys = {
        name: [*sorted(map(key_of, bench.world.all(record_type)))[-12:], 1, 2**63 - 1]
        for name, record_type in RECORDS.items()
        if record_type is not Candle
    }
    ids = {name: [base64.b64encode(f"{name}:{key}".encode()).decode() for key in some] for name, some in keys.items()}
    return Pool(ids, cursors)
