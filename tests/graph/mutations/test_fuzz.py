"""Random inputs: each mutation writes them or returns userErrors, and none causes an internal error."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    build_schema,
    get_named_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL

from tests.graph.mutations.people import People, people

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = build_schema((ROOT / "schema.graphql").read_text())
assert SCHEMA.mutation_type is not None
MUTATIONS = SCHEMA.mutation_type.fields
# Without login: passwords are slow to check, and fuzzed elsewhere.
FUZZED = sorted(set(MUTATIONS) - {"login"})
IDS = [
    "",
    "x",
    "\0",
    *["VHJhZGU6MQ==", "U2lnbmFsOjE=", "U3RyYXRlZ3k6MQ==", "UHJlZGljdGlvbjox", "QWxlcnQ6MQ==", "QXBpS2V5OjI="],
]
DECIMALS = [
    "1",
    "-1",
    "0",
    "0.1",
    "1e20",
    "1e-19",
    "1e999999999",
    "1e-999999999",
    "0e9999",
    "NaN",
    "-0",
    "9" * 39,
    "\0",
]
TIMES = [
    *("0001-01-01T00:00:00Z", "0001-01-01T01:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:00:00Z"),
    *("now", "now-1h", "now+1d", "now+9999999w", "2026-01-31T00:00:00Z", "2026-01-31T00:00:00+23:59", "", "\0"),
]
FLOATS = [0.0, -0.0, 0.5, 1.0, 2.0, -1.0, 1e308, -1e308, 5e-324, 1e150, 1.1e150, 2**53, 10**30]
TEXTS = ["BTC", "eth", "m", "1", "", " ", "\0", "a\0b", "\u202e", "é" * 30, "x" * 101, "😀" * 3_000, "%s'\"; --", "İ"]
JSONS: list[Any] = [
    {},
    [],
    None,
    0,
    "x",
    True,
    {"": {}},
    {"a": "\0"},
    {"a": 1e308, "b": [10**30, -0.0]},
    {"a": "x" * 70_000},
]
DEEP: Any = {}
for _ in range(40):
    DEEP = {"a": [DEEP]}
SCALARS: dict[str, list[Any]] = {
    "ID": IDS,
    "Decimal": [*DECIMALS, 5, -5],
    "DateTime": TIMES,
    "Float": FLOATS,
    "String": TEXTS,
    "JSON": [*JSONS, DEEP],
    "Boolean": [True, False],
    "Int": [0, -1, 2**31 - 1],
}
fuzzing = settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def values_of(type_: Any) -> st.SearchStrategy[Any]:
    if is_non_null_type(type_):
        return values_of(type_.of_type)
    if is_list_type(type_):
        items = values_of(type_.of_type)
        # Lists with a repeated item, too.
        return st.one_of(st.lists(items, max_size=3), items.map(lambda item: [item, item]))
    if is_enum_type(type_):
        return st.sampled_from(sorted(type_.values))
    if is_input_object_type(type_):
        fields = type_.fields
        required = {name: values_of(field.type) for name, field in fields.items() if is_non_null_type(field.type)}
        others = {name: values_of(field.type) for name, field in fields.items() if name not in required}
        optional = {name: st.one_of(st.none(), values) for name, values in others.items()}
        return st.fixed_dictionaries(required, optional=optional)
    return st.sampled_from(SCALARS[type_.name])


def document(name: str, field: GraphQLField) -> str:
    input_type = field.args["input"].type
    rows = [
        f"{part} {{ id }}"
        for part, inner in get_named_type(field.type).fields.items()
        if "id" in getattr(get_named_type(inner.type), "fields", {})
    ]
    return (
        f"mutation($i: {input_type}) {{ {name}(input: $i) {{ userErrors {{ field message code }} {' '.join(rows)} }} }}"
    )


@pytest.fixture
def all_(database_url: URL) -> Iterator[tuple[asyncio.Runner, People]]:
    with asyncio.Runner() as runner:
        manager = people(database_url)
        found = runner.run(manager.__aenter__())
        try:
            yield runner, found
        finally:
            runner.run(manager.__aexit__(None, None, None))


async def seeded(all_: People) -> None:
    """One row for each type of the ids: the first of its table."""
    for mutation, values in SEED:
        assert await all_.ann.errors(document(mutation, MUTATIONS[mutation]), i=values) == []


SEED: list[tuple[str, dict[str, Any]]] = [
    ("createStrategy", {"name": "s"}),
    (
        "recordPredictions",
        {
            "modelName": "m",
            "modelVersion": "1",
            "predictions": [{"symbol": "BTC", "targetAt": "now+1d", "predictedPrice": 1}],
        },
    ),
    ("recordSignal", {"symbol": "BTC", "type": "BUY"}),
    ("recordTrade", {"symbol": "BTC", "side": "BUY", "price": "1", "quantity": "1"}),
    ("createAlert", {"type": "SYSTEM", "message": "m"}),
]
REQUEST_ERRORS = {"PAYLOAD_TOO_LARGE", "BAD_USER_INPUT", "INVALID_TIME", "INVALID_DECIMAL"}


def test_random_inputs_cause_no_internal_errors(all_: tuple[asyncio.Runner, People]) -> None:
    runner, everyone = all_
    runner.run(seeded(everyone))
    outcomes = {"written": 0, "invalid": 0, "rejected": 0}

    @fuzzing
    @given(
        st.sampled_from(FUZZED).flatmap(
            lambda name: st.tuples(st.just(name), values_of(MUTATIONS[name].args["input"].type))
        )
    )
    def fuzz(sent: tuple[str, Any]) -> None:
        name, values = sent
        answer = runner.run(everyone.ann.ask(document(name, MUTATIONS[name]), i=values))
        if "errors" in answer:
            assert {error["extensions"]["code"] for error in answer["errors"]} <= REQUEST_ERRORS, (sent, answer)
            outcomes["rejected"] += 1
            return
        problems = answer["data"][name]["userErrors"]
        assert all(problem["field"][0] == "input" and problem["message"] and problem["code"] for problem in problems)
        outcomes["invalid" if problems else "written"] += 1

    fuzz()
    assert min(outcomes.values()) > 20, outcomes
    # All written rows can be read.
    for query in READS:
        assert "errors" not in runner.run(everyone.admin.ask(query)), query


READS = [
    "{ cryptocurrencies { nodes { symbol name latest { openTime close volume marketCap } } } }",
    "{ predictions { nodes { targetAt predictedAt predictedPrice features actual { price errorPercent } } } }",
    "{ models { nodes { name trainedAt extra accuracy } } strategies { nodes { name parameters } } }",
    "{ signals { nodes { timestamp extra } } alerts { nodes { message timestamp } } trades { nodes { value pnl } } }",
]
