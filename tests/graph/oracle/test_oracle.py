"""Generated operations: the engine's answer equals that of a plain evaluator over the same rows."""

import base64
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.oracle.harness import Bench
from tests.graph.oracle.meaning import RECORDS
from tests.graph.oracle.operations import operation
from tests.graph.oracle.properties import SEEDED
from tests.graph.oracle.records import Candle
from tests.graph.oracle.reduction import Operation
from tests.graph.oracle.values import Pool
from tests.graph.oracle.world import key_of

ROOTS = [
    *("cryptocurrency", "cryptocurrencies", "predictions", "signals", "trades", "alerts"),
    *("strategies", "models", "model", "node", "nodes", "health"),
]
EVERYTHING = """
    cryptocurrencies(first: 100) { edges { cursor node { sentiment(first: 100) { edges { cursor } } } } }
    strategies(first: 100) { edges { cursor } }
    models(first: 100) { edges { cursor } }
"""
BY_TIME = ("predictions", "signals", "trades", "alerts")


@pytest.fixture(scope="module")
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


# Operations come from a seed: that is quicker than to draw each choice, and more varied. The bench makes them smaller.
@settings(SEEDED, max_examples=150)
@given(random=st.randoms(use_true_random=True), root=st.sampled_from(ROOTS))
def test_one_root_field(bench: Bench, pool: Pool, random: Random, root: str) -> None:
    bench.check_generated(operation(random, bench.evaluator.schema, pool, [root]))


@settings(SEEDED, max_examples=50)
@given(random=st.randoms(use_true_random=True), roots=st.lists(st.sampled_from(ROOTS), min_size=2, max_size=4))
def test_several_root_fields(bench: Bench, pool: Pool, random: Random, roots: list[str]) -> None:
    bench.check_generated(operation(random, bench.evaluator.schema, pool, roots))
