"""Generated operations: the engine's answer equals that of the oracle over the same rows."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.oracle.harness import Harness
from tests.graph.oracle.operations import operation
from tests.graph.oracle.properties import SEEDED
from tests.graph.oracle.values import ValuePool

ROOTS = [
    *("cryptocurrency", "cryptocurrencies", "predictions", "signals", "trades", "alerts"),
    *("strategies", "models", "model", "node", "nodes", "health"),
]


# Operations are generated from a seed: this is faster than drawing each choice, and gives more variety. The harness
# shrinks them.
@settings(SEEDED, max_examples=60)
@given(random=st.randoms(use_true_random=True), root=st.sampled_from(ROOTS))
def test_one_root_field(harness: Harness, pool: ValuePool, random: Random, root: str) -> None:
    harness.check_generated(operation(random, harness.evaluator.schema, pool, [root]))


@settings(SEEDED, max_examples=20)
@given(random=st.randoms(use_true_random=True), roots=st.lists(st.sampled_from(ROOTS), min_size=2, max_size=4))
def test_several_root_fields(harness: Harness, pool: ValuePool, random: Random, roots: list[str]) -> None:
    harness.check_generated(operation(random, harness.evaluator.schema, pool, roots))
