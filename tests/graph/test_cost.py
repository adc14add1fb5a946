"""The cost of operations before and after they ran, and the error of one that is too expensive."""

import math
from typing import Any

import orjson
import pytest
from sqlalchemy import URL

from graph.documents import read_operation
from graph.graphql_core_compat import graphql_schema
from graph.limits import Rules
from graph.schema import create_schema
from tests.application import GENEROUS, Client, serving

SCHEMA = graphql_schema(create_schema())
COIN = '{ cryptocurrency(symbol: "BTC") { %s } }'

COSTS = [
    ("{ __typename }", 0),
    (COIN % "name", 1),
    (COIN % "name latest { close }", 2),
    # A candle is a tenth of a row.
    (COIN % "candles(last: 1000) { close open }", 2 + 100),
    (COIN % "series(last: 1000) { close open }", 2 + 100),
    (COIN % "candles { close }", 2 + 50),
    (COIN % 'candles(from: "2026-01-01T00:00:00Z") { close }', 2 + 1000),
    (COIN % 'candles(interval: D1, from: "2026-01-01T00:00:00Z", to: "2026-01-11T00:00:00Z") { close }', 2 + 1.1),
    ("{ signals(first: 5) { nodes { id } } }", 1 + 5),
    ("{ signals(last: 7) { edges { cursor node { id } } } }", 1 + 7),
    ("{ signals { totalCount } }", 1),
    ("{ signals { nodes { id } } }", 1 + 50),
    ("{ signals(first: 5) { nodes { trades(first: 4) { nodes { id } } } } }", 1 + 5 * (1 + 1 + 4)),
    # A field that is selected twice counts once, whether by a fragment or not.
    ("{ signals(first: 5) { nodes { id } } ...F } fragment F on Query { signals(first: 5) { nodes { type } } }", 6),
    ("{ a: signals(first: 5) { nodes { id } } b: signals(first: 5) { nodes { id } } }", 12),
    # The most expensive of several types.
    ('{ node(id: "x") { ... on Signal { trades(first: 9) { nodes { id } } } ... on Trade { signal { id } } } }', 11),
    ('{ nodes(ids: ["x", "y"]) { id } }', 3),
    ("{ health { status } }", 10),
    ('mutation { createStrategy(input: { name: "x" }) { strategy { id } } }', 11),
    ("{ signals(first: 500) { nodes { id } } }", 1 + 100),
]


def cost_of(query: str, variables: dict[str, Any] | None = None) -> float:
    operation = read_operation(SCHEMA, query, None, rules=GENEROUS)
    values = operation.variables.coerce(variables or {}, 5)
    assert isinstance(values, dict)
    return operation.cost.requested(values)


@pytest.mark.parametrize(("query", "cost"), COSTS, ids=[query[:60] for query, _ in COSTS])
def test_costs(query: str, cost: float) -> None:
    assert cost_of(query) == pytest.approx(cost)


def test_variables_change_the_cost() -> None:
    query = "query($n: Int = 3) { signals(first: $n) { nodes { id } } }"
    assert [cost_of(query, given) for given in ({}, {"n": 5}, {"n": None}, {"n": -1})] == [4, 6, 51, 101]
    query = (
        "query($i: Interval, $f: DateTime, $t: DateTime) "
        '{ cryptocurrency(symbol: "A") { candles(interval: $i, from: $f, to: $t) { close } } }'
    )
    assert cost_of(query, {"i": "D1", "f": "2026-01-01T00:00:00Z", "t": "2026-01-11T00:00:00Z"}) == pytest.approx(3.1)
    assert cost_of(query, {"i": "D1", "f": "now-10d"}) == pytest.approx(3.1)
    assert cost_of(query, {"f": "now-10d"}) == 1002
    query = 'mutation($c: [CandleInput!]!) { recordCandles(input: { symbol: "A", candles: $c }) { inserted } }'
    candle = {"openTime": "now", "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}
    assert cost_of(query, {"c": [candle] * 100}) == pytest.approx(20)


def test_the_cost_of_fragments_that_multiply_is_summed_quickly() -> None:
    links = "".join(
        f"fragment F{n} on Signal {{ a: trades {{ nodes {{ signal {{ ...F{n + 1} }} }} }} "
        f"b: trades {{ nodes {{ signal {{ ...F{n + 1} }} }} }} }} "
        for n in range(6)
    )
    query = f"{{ signals {{ nodes {{ ...F0 }} }} }} {links} fragment F6 on Signal {{ id }}"
    assert 1e12 < cost_of(query) < math.inf


async def rejection(client: Client, query: str, **variables: Any) -> dict[str, Any]:
    error = await client.error(query, **variables)
    extensions: dict[str, Any] = error["extensions"]
    return extensions


async def test_the_error_of_an_expensive_operation_names_arguments_that_fit(demo_url: URL) -> None:
    async with serving(demo_url, max_cost=100) as client:
        extensions = await rejection(client, "{ signals(first: 50) { nodes { trades(first: 10) { nodes { id } } } } }")
        assert (extensions["code"], extensions["cost"], extensions["limit"]) == ("QUERY_TOO_EXPENSIVE", 601, 100)
        assert extensions["fits"] == [{"path": ["signals"], "argument": "first", "value": 8}]
        await client.data("{ signals(first: 8) { nodes { trades(first: 10) { nodes { id } } } } }")

        days = "query($i: Interval!) " + COIN % 'candles(interval: $i, from: "now-80d") { close }'
        extensions = await rejection(client, days, i="H1")
        assert extensions["fits"] == [{"path": ["cryptocurrency", "candles"], "argument": "interval", "value": "H4"}]
        await client.data(days, i="H4")

        extensions = await rejection(client, COIN % "candles(last: 5000) { close }")
        assert extensions["fits"] == [{"path": ["cryptocurrency", "candles"], "argument": "last", "value": 980}]
        extensions = await rejection(
            client, "{ a: signals { nodes { id } } b: signals { nodes { id } } c: signals { nodes { id } } }"
        )
        assert [(fit["path"], fit["value"]) for fit in extensions["fits"]] == [([name], 32) for name in "abc"]


ASKED = [
    ("{ signals(first: 50) { nodes { trades(first: 10) { totalCount nodes { id } } } } }", False),
    (COIN % "candles(last: 7) { close } series(last: 9) { close }", True),
    ("{ models { nodes { id } edges { node { id } } pageInfo { endCursor } } }", False),
    ('{ nodes(ids: ["Q3J5cHRvY3VycmVuY3k6MQ==", "U2lnbmFsOjE="]) { id ... on Signal { strategy { name } } } }', True),
    ('{ cryptocurrency(symbol: "NONE") { candles { close } } }', False),
    ("{ health { status } }", True),
]


@pytest.mark.parametrize(("query", "is_exact"), ASKED)
async def test_the_actual_cost_is_reported(client: Client, query: str, is_exact: bool) -> None:
    response = await client.post("/graphql", json={"query": query}, headers={"graphql-cost": "1"})
    answer = response.json()
    cost = answer["extensions"]["cost"]
    assert cost["requested"] == pytest.approx(cost_of(query))
    assert cost["limit"] == Rules().max_cost
    assert 0 < cost["actual"] <= cost["requested"]
    assert (cost["actual"] == pytest.approx(cost["requested"])) is is_exact
    plain = await client.post("/graphql", json={"query": query})
    if "health" not in query:
        assert orjson.loads(plain.content) == {"data": answer["data"]}


async def test_the_cost_of_an_answer_from_the_cache_is_reported_on_request(demo_url: URL) -> None:
    async with serving(demo_url) as client:
        bodies = [
            (await client.post("/graphql", json={"query": COIN % "name"}, headers=headers)).json()
            for headers in ({}, {}, {"graphql-cost": "1"}, {})
        ]
    assert [("extensions" in body, body["data"]) for body in bodies] == [
        (extensions, bodies[0]["data"]) for extensions in (False, False, True, False)
    ]
