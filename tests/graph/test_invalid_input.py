"""Invalid input: each is rejected with a stable code and the path of the argument."""

import base64
from typing import Any

import pytest

from tests.application import Client


def cursor(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def global_id(text: str) -> str:
    return cursor(text)


CANDLES = '{ cryptocurrency(symbol: "BTC") { candles(%s) { openTime } } }'
PAGES = "{ signals(%s) { nodes { id } } }"

REFUSED = [
    (PAGES % "first: 0", "INVALID_PAGE_SIZE", ["first"]),
    (PAGES % "first: -1", "INVALID_PAGE_SIZE", ["first"]),
    (PAGES % "first: 101", "INVALID_PAGE_SIZE", ["first"]),
    (PAGES % "last: 0", "INVALID_PAGE_SIZE", ["last"]),
    (PAGES % "last: 101", "INVALID_PAGE_SIZE", ["last"]),
    (PAGES % "first: 1, last: 1", "INVALID_PAGE_SIZE", ["last"]),
    (PAGES % 'after: ""', "INVALID_CURSOR", ["after"]),
    (PAGES % 'after: "nonsense"', "INVALID_CURSOR", ["after"]),
    (PAGES % f'before: "{cursor("signals.newest|x|1")}"', "INVALID_CURSOR", ["before"]),
    (PAGES % f'before: "{cursor("signals.newest|1")}"', "INVALID_CURSOR", ["before"]),
    (PAGES % f'before: "{cursor("signals.newest|9999999999999999999|1")}"', "INVALID_CURSOR", ["before"]),
    (PAGES % f'after: "{cursor("predictions.newest|1|1")}"', "INVALID_CURSOR", ["after"]),
    (PAGES % f'after: "{cursor("signals.newest|1|1")}", orderBy: OLDEST_FIRST', "INVALID_CURSOR", ["after"]),
    (PAGES % "filter: { types: [BUY, KEEP] }", "GRAPHQL_VALIDATION_FAILED", ["filter", "types"]),
    (PAGES % 'filter: { strategyId: "x" }', "INVALID_ID", ["filter", "strategyId"]),
    (PAGES % f'filter: {{ strategyId: "{global_id("Trade:1")}" }}', "INVALID_ID", ["filter", "strategyId"]),
    (PAGES % 'filter: { timestamp: { from: "now", to: "now-1h" } }', "INVALID_RANGE", ["filter", "timestamp", "from"]),
    (PAGES % 'filter: { timestamp: { from: "2025-01-01" } }', "INVALID_TIME", ["filter", "timestamp", "from"]),
    (CANDLES % "last: 0", "INVALID_LIMIT", ["last"]),
    (CANDLES % "last: 10001", "INVALID_LIMIT", ["last"]),
    (CANDLES % 'from: "now", to: "now-1d"', "INVALID_RANGE", ["from"]),
    (CANDLES % 'from: "now-9999999d"', "INVALID_TIME", ["from"]),
    (CANDLES % 'from: "now-999999999999w"', "INVALID_TIME", ["from"]),
    (CANDLES % 'from: "infinity"', "INVALID_TIME", ["from"]),
    (CANDLES % 'from: "2025-01-01T00:00:00"', "INVALID_TIME", ["from"]),
    (CANDLES % 'from: "2025-02-30T00:00:00Z"', "INVALID_TIME", ["from"]),
    (CANDLES % 'from: "2025-01-01T00:00:00\\u0000Z"', "INVALID_TIME", ["from"]),
    (CANDLES % 'to: "0001-01-01T00:00:00+14:00"', "INVALID_TIME", ["to"]),
    (CANDLES % "to: 1735689600", "INVALID_TIME", ["to"]),
    (CANDLES % "interval: M1", "INTERVAL_TOO_SHORT", ["interval"]),
    (CANDLES % "interval: H2", "GRAPHQL_VALIDATION_FAILED", ["interval"]),
    ('{ node(id: "x") { id } }', "INVALID_ID", ["id"]),
    (f'{{ node(id: "{global_id("Robot:1")}") {{ id }} }}', "INVALID_ID", ["id"]),
    (f'{{ node(id: "{global_id("Trade:99999999999999999999")}") {{ id }} }}', "INVALID_ID", ["id"]),
    (f"{{ nodes(ids: {[global_id('Trade:1')] * 101}) {{ id }} }}".replace("'", '"'), "TOO_MANY_IDS", ["ids"]),
    ('{ cryptocurrency(symbol: "\\u0000") { name } }', "INVALID_TEXT", None),
    ("{ cryptocurrencies(filter: { search: 5 }) { totalCount } }", "GRAPHQL_VALIDATION_FAILED", ["filter", "search"]),
]


@pytest.mark.parametrize(("query", "code", "argument"), REFUSED, ids=[query[:80] for query, *_ in REFUSED])
async def test_an_invalid_argument_is_rejected(
    client: Client, query: str, code: str, argument: list[str] | None
) -> None:
    error = await client.error(query)
    assert error["extensions"]["code"] == code
    assert error["extensions"].get("argument") == argument
    assert "SELECT" not in error["message"]


@pytest.mark.parametrize(
    ("declared", "value", "code"),
    [
        ("$value: DateTime", "2025-01-01T00:00:00", "INVALID_TIME"),
        ("$value: DateTime", {"a": 1}, "INVALID_TIME"),
        ("$value: DateTime", 5, "INVALID_TIME"),
    ],
)
async def test_an_invalid_variable_is_rejected_like_a_literal(
    client: Client, declared: str, value: Any, code: str
) -> None:
    query = f'query({declared}) {{ cryptocurrency(symbol: "BTC") {{ candles(from: $value) {{ close }} }} }}'
    error = await client.error(query, value=value)
    assert error["extensions"]["code"] == code
    assert "$value" in error["message"]


async def test_an_error_deep_in_an_operation_has_its_path(client: Client) -> None:
    query = "{ cryptocurrencies { nodes { symbol minutes: candles(interval: M1, last: 1) { close } } } }"
    error = await client.error(query)
    assert error["path"] == ["cryptocurrencies", "nodes", "minutes"]
    assert error["extensions"]["baseInterval"] == "H1"


async def test_an_invalid_root_field_does_not_affect_the_others(client: Client) -> None:
    answer = await client.ask('{ good: cryptocurrency(symbol: "BTC") { symbol } bad: node(id: "x") { id } }')
    assert answer["data"] == {"good": {"symbol": "BTC"}, "bad": None}
    assert [error["path"] for error in answer["errors"]] == [["bad"]]


async def test_an_endless_selection_is_rejected(client: Client) -> None:
    fragments = " ".join(
        f"fragment F{i} on Prediction {{ a: cryptocurrency {{ predictions {{ nodes {{ ...F{i + 1} }} }} }}"
        f" b: cryptocurrency {{ predictions {{ nodes {{ ...F{i + 1} }} }} }} }}"
        for i in range(12)
    )
    query = "{ predictions { nodes { ...F0 } } } " + fragments + " fragment F12 on Prediction { id }"
    assert (await client.error(query))["extensions"]["code"] == "QUERY_TOO_LARGE"


async def test_root_fields_share_one_limit(client: Client) -> None:
    """A selection that is allowed once is rejected twenty times: building statements blocks the event loop."""
    nested = " ".join(f"p{n}: predictions {{ nodes {{ id }} }}" for n in range(30))
    roots = " ".join(f'r{n}: cryptocurrency(symbol: "BTC") {{ ...F }}' for n in range(20))
    answer = await client.ask(f"{{ {roots} }} fragment F on Cryptocurrency {{ {nested} }}")
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"QUERY_TOO_LARGE"}
    assert answer["data"]["r0"] is not None
    error = await client.error(f"{{ {' '.join(f'h{n}: health {{ status }}' for n in range(101))} }}")
    assert error["extensions"]["code"] == "QUERY_TOO_LARGE"


async def test_a_filter_of_many_values_is_one_parameter(client: Client) -> None:
    query = "query($symbols: [String!]) { cryptocurrencies(filter: { symbols: $symbols }) { totalCount } }"
    data = await client.data(query, symbols=["btc", *(f"S{n}" for n in range(40_000))])
    assert data["cryptocurrencies"]["totalCount"] == 1


async def test_an_endless_document_is_rejected(client: Client) -> None:
    error = await client.error(f"{{ {' '.join(f'a{n}: __typename' for n in range(5_000))} }}")
    assert error["extensions"]["code"] == "QUERY_TOO_LARGE"


async def test_an_unknown_symbol_is_null(client: Client) -> None:
    assert await client.data('{ cryptocurrency(symbol: "NONE") { name } }') == {"cryptocurrency": None}


async def test_a_document_of_several_operations_needs_a_name(client: Client) -> None:
    error = await client.error("query A { __typename } query B { __typename }")
    assert error["extensions"]["code"] == "OPERATION_RESOLUTION_FAILURE"
