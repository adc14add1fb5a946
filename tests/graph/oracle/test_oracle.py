"""Generated operations: the engine's answer equals that of a plain evaluator over the same rows."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.oracle.harness import Bench
from tests.graph.oracle.operations import operation
from tests.graph.oracle.properties import SEEDED
from tests.graph.oracle.values import Pool

ROOTS = [
    *("cryptocurrency", "cryptocurrencies", "predictions", "signals", "trades", "alerts"),
    *("strategies", "models", "model", "node", "nodes", "health"),
]


# Operations come from a seed: that is quicker than to draw each choice, and more varied. The bench makes them smaller.
@settings(SEEDED, max_examples=60)
@given(random=st.randoms(use_true_random=True), root=st.sampled_from(ROOTS))
def test_one_root_field(bench: Bench, pool: Pool, random: Random, root: str) -> None:
    bench.check_generated(operation(random, bench.evaluator.schema, pool, [root]))


@settings(SEEDED, max_examples=20)
@given(random=st.randoms(use_true_random=True), roots=st.lists(st.sampled_from(ROOTS), min_size=2, max_size=4))
def test_several_root_fields(bench: Bench, pool: Pool, random: Random, roots: list[str]) -> None:
    bench.check_generated(operation(random, bench.evaluator.schema, pool, roots))
