"""Fixtures of the oracle: the harness that all tests share, and a pool of ids and cursors."""

import asyncio
import base64
from collections.abc import Iterator

import pytest
from sqlalchemy import URL

from tests.conftest import TEMPLATE, create_database
from tests.graph.oracle.harness import DatabaseWithLongProbe, Harness
from tests.graph.oracle.records import Candle
from tests.graph.oracle.resolvers import RECORDS
from tests.graph.oracle.rows import edge_case_rows
from tests.graph.oracle.shrinking import Operation
from tests.graph.oracle.values import ValuePool
from tests.graph.oracle.world import key_of
from tests.waiting import eventually

EVERYTHING = """
    cryptocurrencies(first: 100) { edges { cursor node { sentiment(first: 100) { edges { cursor } } } } }
    strategies(first: 100) { edges { cursor } }
    models(first: 100) { edges { cursor } }
"""
BY_TIME = ("predictions", "signals", "trades", "alerts")


@pytest.fixture(scope="session")
def harness(postgres: URL, template: URL) -> Iterator[Harness]:
    """The edge-case rows in a database of their own. A test that adds rows must remove them."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        url = runner.run(create_database(postgres, "oracle", template=TEMPLATE))
        database = DatabaseWithLongProbe(url, pool_size=5)
        try:
            yield Harness(runner, database, edge_case_rows())
            # Probes of health may still hold connections; they end while the loop runs.
            runner.run(eventually(lambda: database.pool_in_use == 0))
        finally:
            runner.run(database.close())


@pytest.fixture(scope="session")
def pool(harness: Harness) -> ValuePool:
    """Ids of rows, existing and not, and the cursors of all rows."""
    both = [
        f"{name}{order}: {name}(first: 100, orderBy: {order}) {{ edges {{ cursor }} }}"
        for name in BY_TIME
        for order in ("NEWEST_FIRST", "OLDEST_FIRST")
    ]
    harness.check(Operation(f"{{ {EVERYTHING} {' '.join(both)} }}", {}))
    cursors: dict[tuple[str, bool], list[str]] = {}
    for position, text in sorted(harness.cursors.texts.items(), key=lambda item: (item[0].type_name, item[0].keys)):
        cursors.setdefault((position.type_name, position.newest_first), []).append(text)
    keys = {
        name: [*sorted(map(key_of, harness.world.all(record_type)))[-12:], 1, 2**63 - 1]
        for name, record_type in RECORDS.items()
        if record_type is not Candle
    }
    ids = {name: [base64.b64encode(f"{name}:{key}".encode()).decode() for key in some] for name, some in keys.items()}
    return ValuePool(ids, cursors)
