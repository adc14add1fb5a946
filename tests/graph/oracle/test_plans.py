"""Generated operations: a plan that was compiled for other variables gives the same answer as the executor."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.oracle.harness import Harness
from tests.graph.oracle.operations import operation
from tests.graph.oracle.properties import SEEDED
from tests.graph.oracle.shrinking import Operation
from tests.graph.oracle.values import INSTANTS, SAMPLES, ValuePool

# Without health, which depends on the time.
ROOTS = [
    *("cryptocurrency", "cryptocurrencies", "predictions", "signals", "trades", "alerts"),
    *("strategies", "models", "model", "node", "nodes"),
]
SIZES = [1, 2, 3, 5, 8, 30, 100, 0, -1, 101, 10_001]


@settings(SEEDED, max_examples=30)
@given(random=st.randoms(use_true_random=True), roots=st.lists(st.sampled_from(ROOTS), min_size=1, max_size=3))
def test_a_plan_serves_all_variables_of_its_shape(
    harness: Harness, pool: ValuePool, random: Random, roots: list[str]
) -> None:
    first = operation(random, harness.evaluator.schema, pool, roots)
    harness.answer(first)
    for _ in range(3 if first.variables else 0):
        other = Operation(first.text, _varied(random, pool, first.variables))
        assert without_current_time(harness.answer(other)) == without_current_time(
            harness.answer_field_by_field(other)
        ), other


def without_current_time(answer: Any) -> Any:
    """The answer without messages that contain the current time."""
    for error in answer.get("errors", []):
        if error["extensions"]["code"] == "INVALID_RANGE":
            del error["message"]
    return answer


def _varied(random: Random, pool: ValuePool, value: Any) -> Any:
    """A value of the same form, and most often of the same shape."""
    match value:
        case bool() | None:
            return value
        case int():
            return random.choice(SIZES)
        case float():
            return random.choice(SAMPLES["minConfidence"])
        case dict():
            return {key: _varied(random, pool, part) for key, part in value.items()}
        case list():
            return [_varied(random, pool, part) for part in value]
        case str():
            return _varied_text(random, pool, value)
    return value


def _varied_text(random: Random, pool: ValuePool, text: str) -> str:
    """Another text from the same source, or rarely any text."""
    sources: list[list[Any]] = [INSTANTS, *pool.ids.values(), *pool.cursors.values(), *SAMPLES.values()]
    if random.random() < 0.1:
        return str(random.choice(["", "nonsense", "\u0000", random.choice(INSTANTS)]))
    fitting = [source for source in sources if text in source and all(isinstance(item, str) for item in source)]
    return str(random.choice(random.choice(fitting))) if fitting else text
