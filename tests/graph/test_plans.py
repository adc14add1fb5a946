"""Plans: what they save a warm request, that they depend on no variable, and queries without a plan."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from graphql import GraphQLError
from sqlalchemy import URL, text
from structlog.testing import capture_logs

from db.engine import Database
from graph import documents, execution, plan_cache
from graph.pipeline import Pipeline
from graph.plan_cache import PlanCache
from graph.schema import create_schema
from tests.application import GENEROUS, FieldByField, context_of, counted, request_of
from tests.waiting import eventually

COIN = "query($symbol: String!) { cryptocurrency(symbol: $symbol) { name } }"


class Server:
    """The pipeline on a database, with and without plans."""

    def __init__(self, database: Database) -> None:
        self.database = database
        context = context_of(database)
        self.plans = context.plans
        self._planned = Pipeline(create_schema(), context, rules=GENEROUS)
        self._unplanned = FieldByField(create_schema(), replace(context, plans=PlanCache()), rules=GENEROUS)

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        return orjson.loads((await self._planned.answer(request_of(query, variables))).body)

    async def ask_field_by_field(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        return orjson.loads((await self._unplanned.answer(request_of(query, variables))).body)

    async def warm(self, query: str, variables: dict[str, Any] | None = None) -> None:
        for _ in range(2):
            await self.ask(query, variables)

    @property
    def hits(self) -> int:
        return self.plans.plan_stats.hits


@pytest.fixture
async def server(demo_url: URL) -> AsyncIterator[Server]:
    database = Database(demo_url, pool_size=3)
    yield Server(database)
    assert database.pool_in_use == 0
    await database.close()


async def test_a_warm_request_does_not_parse_validate_compile_or_execute(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.warm(COIN, {"symbol": "BTC"})

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("a warm request must not do this again")

    for module, name in (
        (documents, "parse"),
        (documents, "validate"),
        (plan_cache, "compile_plan"),
        (execution, "execute"),
    ):
        monkeypatch.setattr(module, name, fail)
    for symbol, name in (("BTC", "Bitcoin"), ("eth", "Ethereum")):
        assert await server.ask(COIN, {"symbol": symbol}) == {"data": {"cryptocurrency": {"name": name}}}
    assert await server.ask(COIN, {"symbol": "NONE"}) == {"data": {"cryptocurrency": None}}
    assert server.hits == 3


VARYING = [
    ("query($n: Int) { signals(first: $n) { nodes { id } } }", {"n": 2}, [{"n": 5}, {"n": 100}, {"n": 101}, {"n": 0}]),
    (
        "query($n: Int, $c: String) { signals(last: $n, before: $c) { edges { cursor } pageInfo { hasNextPage } } }",
        {"n": 2, "c": "c2lnbmFscy5uZXdlc3R8MTc5NDk1OTk5OTAwMDAwMHw1"},
        [{"n": 3, "c": "c2lnbmFscy5uZXdlc3R8MTc4NDk1OTk5OTAwMDAwMHw1"}, {"n": 3, "c": "?"}, {"n": 101, "c": "?"}],
    ),
    # A cursor is checked even if no row is read.
    ("query($c: String) { signals(after: $c) { __typename } }", {"c": "c2lnbmFscy5uZXdlc3R8MXw1"}, [{"c": "nonsense"}]),
    (
        'query($l: Int, $f: DateTime, $t: DateTime) { cryptocurrency(symbol: "BTC") '
        "{ candles(last: $l, from: $f, to: $t) { openTime close } } }",
        {"l": 2, "f": "2026-11-01T00:00:00Z", "t": "2026-11-02T00:00:00Z"},
        [
            {"l": 5, "f": "2026-11-05T00:00:00Z", "t": "2026-11-07T00:00:00Z"},
            {"l": 5, "f": "2026-11-05T00:00:00Z", "t": "2026-11-01T00:00:00Z"},
            {"l": 10_001, "f": "2026-11-05T00:00:00Z", "t": "2026-11-07T00:00:00Z"},
            {"l": 3, "f": "now-100d", "t": "now-99d"},
            {"l": 3, "f": None, "t": "2026-11-07T00:00:00Z"},
            {"l": 3},
        ],
    ),
    (
        "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename ... on Signal { type } } }",
        {"ids": ["U2lnbmFsOjE=", "U2lnbmFsOjI="]},
        [
            {"ids": ["U2lnbmFsOjM=", "U2lnbmFsOjk5OTk5OTk="]},
            {"ids": ["Q3J5cHRvY3VycmVuY3k6MQ==", "U2lnbmFsOjI="]},
            {"ids": ["U2lnbmFsOjM="]},
            {"ids": []},
            {"ids": ["U2lnbmFsOjM=", "nonsense"]},
            {"ids": ["U2lnbmFsOjM="] * 101},
        ],
    ),
    (
        "query($f: SignalFilter) { signals(first: 3, filter: $f) { totalCount nodes { type confidence } } }",
        {"f": {"symbol": "BTC", "types": ["BUY"], "minConfidence": 0.5}},
        [
            {"f": {"symbol": "eth", "types": ["BUY"], "minConfidence": 0.7}},
            {"f": {"symbol": "BTC", "types": ["SELL"], "minConfidence": 0.5}},
            {"f": {"symbol": "BTC", "types": ["SELL", "HOLD"], "minConfidence": None}},
            {"f": {"strategyId": "U3RyYXRlZ3k6MQ=="}},
            {"f": {"strategyId": "U2lnbmFsOjE="}},
            {"f": {}},
            {"f": None},
            {},
        ],
    ),
    (
        "query($s: [String!], $t: String) "
        "{ cryptocurrencies(filter: { symbols: $s, search: $t }) { nodes { symbol } } }",
        {"s": ["BTC", "ETH"], "t": "b"},
        [{"s": ["sol", "XXX"], "t": "%"}, {"s": ["btc"], "t": "BIT"}, {"s": [], "t": ""}, {"s": None}],
    ),
    (
        "query($a: Boolean!, $s: String!) "
        "{ cryptocurrency(symbol: $s) { name @include(if: $a) symbol @skip(if: $a) } }",
        {"a": True, "s": "BTC"},
        [{"a": False, "s": "BTC"}, {"a": True, "s": "ETH"}, {"a": False, "s": "ETH"}],
    ),
    (
        'query($s: String!, $n: String = "naive") '
        "{ cryptocurrency(symbol: $s) { name } model(name: $n, version: $s) { name } }",
        {"s": "1.0"},
        [{"s": "BTC"}, {"s": "1.0", "n": "none"}, {"s": "2\u0000"}],
    ),
]


@pytest.mark.parametrize(("query", "first", "others"), VARYING, ids=[query[:50] for query, _, _ in VARYING])
async def test_a_plan_answers_each_request_with_its_own_variables(
    server: Server, query: str, first: dict[str, Any], others: list[dict[str, Any]]
) -> None:
    await server.warm(query, first)
    for variables in (first, *others, first):
        expected = await server.ask_field_by_field(query, variables)
        for _ in range(3):
            assert await server.ask(query, variables) == expected
    assert server.hits > 0
    assert server.plans.fallbacks == 0


async def test_a_relative_time_in_the_document_is_evaluated_for_each_request(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            text("INSERT INTO alerts (alert_type, message, timestamp) SELECT 'SYSTEM', 'm', now()")
        )
    server = Server(database)
    query = '{ alerts(filter: { timestamp: { from: "now-2s" } }) { totalCount } }'
    await server.warm(query)
    assert (await server.ask(query))["data"]["alerts"]["totalCount"] == 1
    inserted_at = time.monotonic()
    await eventually(lambda: time.monotonic() - inserted_at > 2.1)
    assert (await server.ask(query))["data"]["alerts"]["totalCount"] == 0
    assert server.hits == 2


async def test_an_answer_is_one_snapshot(database: Database, database_url: URL) -> None:
    """Alerts are inserted while one operation counts them twice."""
    server = Server(database)
    query = "{ a: alerts { totalCount } b: alerts(first: 1) { nodes { id } totalCount } c: alerts { totalCount } }"
    await server.warm(query)
    writer = Database(database_url, pool_size=1)

    async def write() -> None:
        for _ in range(100):
            async with writer.transaction() as connection:
                await connection.execute(
                    text("INSERT INTO alerts (alert_type, message, timestamp) SELECT 'SYSTEM', 'm', now()")
                )

    writing = asyncio.create_task(write())
    counts = set()
    while not writing.done():
        data = (await server.ask(query))["data"]
        assert len({data[key]["totalCount"] for key in "abc"}) == 1
        counts.add(data["a"]["totalCount"])
    await writing
    await writer.close()
    assert len(counts) > 5


async def test_fields_that_are_not_rows_are_merged_in_the_order_of_the_document(server: Server) -> None:
    query = """query($s: String!) {
        __typename b: cryptocurrency(symbol: $s) { symbol }
        health { status ...F } a: cryptocurrency(symbol: "ETH") { symbol }
        __schema { queryType { name } }
    } fragment F on Health { service }"""
    for _ in range(3):
        answer = await server.ask(query, {"s": "BTC"})
    assert list(answer["data"]) == ["__typename", "b", "health", "a", "__schema"]
    assert answer["data"] == {
        "__typename": "Query",
        "b": {"symbol": "BTC"},
        "health": {"status": "HEALTHY", "service": "candlegraph"},
        "a": {"symbol": "ETH"},
        "__schema": {"queryType": {"name": "Query"}},
    }
    assert server.hits == 1


async def test_an_operation_without_rows_runs_no_statement(server: Server) -> None:
    for _ in range(3):
        with counted(server.database) as executed:
            assert await server.ask("{ __typename t: __typename }") == {"data": {"__typename": "Query", "t": "Query"}}
        assert executed == []


async def test_a_failed_statement_is_an_error_of_each_of_its_root_fields(database: Database) -> None:
    server = Server(database)
    query = """{
        cryptocurrency(symbol: "BTC") { name } health { service } m: model(name: "a", version: "b") { name } __typename
    }"""
    await server.warm(query)
    required = query.replace("__typename", "alerts { totalCount }")
    await server.warm(required)
    async with database.transaction() as connection:
        await connection.execute(text("LOCK TABLE models IN ACCESS EXCLUSIVE MODE"))
        asking = asyncio.create_task(server.ask(query))
        asking_required = asyncio.create_task(server.ask(required))
        answer, answer_required = await asyncio.gather(asking, asking_required)
    assert [(error["path"], error["extensions"]["code"]) for error in answer["errors"]] == [
        (["cryptocurrency"], "STATEMENT_TIMEOUT"),
        (["m"], "STATEMENT_TIMEOUT"),
    ]
    assert all(error["locations"] for error in answer["errors"])
    assert answer["data"] == {
        "cryptocurrency": None,
        "health": {"service": "candlegraph"},
        "m": None,
        "__typename": "Query",
    }
    # alerts is not nullable, so data is null.
    assert answer_required["data"] is None
    assert {error["path"][0] for error in answer_required["errors"]} == {"cryptocurrency", "m", "alerts"}
    assert "errors" not in await server.ask(query)


async def test_a_rejection_by_the_statement_nulls_only_its_root_field(server: Server) -> None:
    """The statement rejects an argument of one root field; the others are answered."""
    query = """query($i: Interval) {
      cryptocurrency(symbol: "BTC") { candles(interval: $i) { close } } alerts { __typename } }"""
    for _ in range(3):
        answer = await server.ask(query, {"i": "M1"})
        assert [(error["path"], error["extensions"]["code"]) for error in answer["errors"]] == [
            (["cryptocurrency", "candles"], "INTERVAL_TOO_SHORT")
        ]
        assert answer["data"] == {"cryptocurrency": None, "alerts": {"__typename": "AlertConnection"}}


async def test_new_documents_and_new_shapes_do_not_evict_a_hot_plan(server: Server) -> None:
    await server.warm(COIN, {"symbol": "BTC"})
    for number in range(60):
        for _ in range(2):
            await server.ask(f"{{ __typename a{number}: __typename }}")
            await server.ask(
                "query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }", {"ids": ["U2lnbmFsOjE="] * (1 + number % 40)}
            )
    hits = server.hits
    await server.ask(COIN, {"symbol": "ETH"})
    assert server.hits == hits + 1
    stats = server.plans.plan_stats
    assert stats.entries <= 512
    assert 0 < stats.bytes <= 32 * 2**20


@pytest.mark.parametrize("wraps", [False, True], ids=["as raised", "wrapped by graphql-core"])
async def test_an_unexpected_exception_in_planning_is_logged_and_counted_and_the_query_is_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch, wraps: bool
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        error = RuntimeError("a bug")
        raise GraphQLError(str(error), original_error=error) if wraps else error

    monkeypatch.setattr(plan_cache, "compile_plan", fail)
    with capture_logs() as logs:
        assert await server.ask(COIN, {"symbol": "BTC"}) == {"data": {"cryptocurrency": {"name": "Bitcoin"}}}
    assert [(entry["event"], entry["log_level"], entry["operation"]) for entry in logs] == [
        ("planning_failed", "error", None)
    ]
    assert logs[0]["exc_info"]
    assert (server.plans.errors, server.plans.fallbacks) == (1, 1)
    report = (await server.ask("{ health { plans { fallbacks hits entries } } }"))["data"]["health"]["plans"]
    assert report == {"fallbacks": 1, "hits": 0, "entries": 0}


REJECTED = [
    ("query($n: Int) { signals(first: $n) { __typename } }", {"n": 0}, "INVALID_PAGE_SIZE"),
    ("query($c: String) { signals(after: $c) { nodes { id } } }", {"c": "nonsense"}, "INVALID_CURSOR"),
    ("query($i: ID!) { node(id: $i) { id } }", {"i": "nonsense"}, "INVALID_ID"),
    ("query($i: ID!) { signals(filter: { strategyId: $i }) { totalCount } }", {"i": "U2lnbmFsOjE="}, "INVALID_ID"),
    ("{" + " ".join(f"a{n}: __typename" for n in range(101)) + "}", {}, "QUERY_TOO_LARGE"),
]


@pytest.mark.parametrize(("query", "variables", "code"), REJECTED, ids=[query[:50] for query, _, _ in REJECTED])
async def test_rejected_input_is_no_fallback_and_no_planning_error(
    server: Server, query: str, variables: dict[str, Any], code: str
) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            answer = await server.ask(query, variables)
            assert answer["errors"][0]["extensions"]["code"] == code
    assert logs == []
    assert (server.plans.errors, server.plans.fallbacks) == (0, 0)


async def test_a_plan_with_other_variables_rejects_input_without_a_planning_error(server: Server) -> None:
    query = "query($c: String) { signals(after: $c) { nodes { id } } }"
    await server.warm(query, {"c": "c2lnbmFscy5uZXdlc3R8MTc5NDk1OTk5OTAwMDAwMHw1"})
    answer = await server.ask(query, {"c": "nonsense"})
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_CURSOR"
    assert (server.plans.errors, server.plans.fallbacks) == (0, 0)


async def test_a_variable_is_not_confused_with_a_literal_equal_to_its_name(server: Server) -> None:
    """A global id may be the name of a variable: "Signal:12" is U2lnbmFsOjEy."""
    query = """query($U2lnbmFsOjEy: ID!, $U2lnbmFsOjEz: ID!) {
      x: nodes(ids: [$U2lnbmFsOjEy, "U2lnbmFsOjEz"]) { __typename }
      y: nodes(ids: ["U2lnbmFsOjEy", $U2lnbmFsOjEz]) { __typename }
    }"""
    signals = {"U2lnbmFsOjEy": "U2lnbmFsOjE=", "U2lnbmFsOjEz": "U2lnbmFsOjI="}
    for _ in range(4):
        await server.ask(query, signals)
    variables = {**signals, "U2lnbmFsOjEz": "U3RyYXRlZ3k6MQ=="}
    for _ in range(3):
        assert await server.ask(query, variables) == await server.ask_field_by_field(query, variables)


async def test_a_rejected_request_does_not_change_a_plan(server: Server) -> None:
    query = """query($n: Int, $c: String, $y: String) {
      cryptocurrencies(first: $n, after: $c, filter: { search: $y }) { nodes { symbol } } }"""
    cursor = "Y3J5cHRvY3VycmVuY2llc3ww"
    await server.warm(query, {"n": 2, "c": cursor, "y": "b"})
    for _ in range(3):
        assert "errors" in await server.ask(query, {"n": 0, "c": cursor})
    hits = server.hits
    for count in range(1, 11):
        assert "errors" not in await server.ask(query, {"n": count, "c": cursor, "y": "b"})
    assert server.hits == hits + 10


async def test_each_shape_has_plans_for_its_own_types_of_ids(server: Server) -> None:
    """Whatever lengths of a list came before, a plan is found by the types of its own ids."""
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    signal, coin = "U2lnbmFsOjE=", "Q3J5cHRvY3VycmVuY3k6MQ=="
    for length in range(1, 12):
        await server.warm(query, {"ids": [signal, coin] * length})
    hits = server.hits
    for length in range(1, 12):
        for ids in ([coin, signal] * length, [signal] * length + [coin] * length):
            assert await server.ask(query, {"ids": ids}) == await server.ask_field_by_field(query, {"ids": ids})
    # The specializations of the shape are found, and then the plan.
    assert server.hits == hits + 2 * 22


async def test_many_long_lists_cost_no_more_than_few(server: Server) -> None:
    names = [f"s{number}" for number in range(90)]
    coins = "{0}: cryptocurrencies(filter: {{ symbols: ${0} }}) @skip(if: true) {{ __typename }}"
    selected = " ".join(coins.format(name) for name in names)
    query = f"query({' '.join(f'${s}: [String!]' for s in names)}) {{ __typename {selected} }}"
    began = time.process_time()
    assert "errors" not in await server.ask(query, {s: ["A"] * 200 for s in names})
    assert time.process_time() - began < 3


async def test_fields_that_are_executed_beside_the_statement_count_for_the_limit(server: Server) -> None:
    fields = " ".join(f"f{number}: name" for number in range(2_100))
    query = "{ health { data { stale { ...F } } } cryptocurrencies { nodes { ...F } } } "
    query += f"fragment F on Cryptocurrency {{ {fields} }}"
    for answer in (await server.ask(query), await server.ask_field_by_field(query)):
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"QUERY_TOO_LARGE"}
