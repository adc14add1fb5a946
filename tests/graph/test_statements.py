"""The number of statements of an operation: one, whatever it selects, except for the server's health."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from sqlalchemy import URL

from db.engine import Database
from graph.pipeline import Pipeline
from graph.schema import create_schema
from tests.application import context_of, counted, request_of

DEEP = """
    cryptocurrencies(first: 5) {
      totalCount pageInfo { hasNextPage endCursor } edges { cursor node { symbol } }
      nodes {
        latest { close } candles(interval: D1, last: 3) { close source }
        predictions(first: 3) {
          nodes {
            status model { name predictions(first: 1) { nodes { id } } }
            actual { price errorPercent directionCorrect }
            signals(first: 2) { nodes { strategy { name } trades { totalCount nodes { value pnl signal { id } } } } }
          }
        }
        sentiment(last: 2) { nodes { score cryptocurrency { symbol } } }
      }
    }
"""

OPERATIONS = [
    ("{ __typename }", 0),
    ('{ cryptocurrency(symbol: "BTC") { name } }', 1),
    ('{ cryptocurrency(symbol: "NONE") { name candles { close } } }', 1),
    ("{" + DEEP + "}", 1),
    ("{ a: signals { nodes { id } } b: trades { totalCount } }", 1),
    ("{ cryptocurrencies { nodes { series(interval: D1) { openTime close } more: series { volume } } } }", 1),
    ("{ alerts { totalCount } strategies { nodes { signals { nodes { id } } trades { nodes { id } } } } }", 1),
    (
        "{ models { nodes { signals { totalCount } predictions(last: 1) { nodes { cryptocurrency { name } } } } } }",
        1,
    ),
    (
        '{ model(name: "naive", version: "1.0") { accuracy predictions(filter: { status: SETTLED }) { totalCount } } }',
        1,
    ),
    ('{ node(id: "Q3J5cHRvY3VycmVuY3k6MQ==") { id ... on Cryptocurrency { symbol candles(last: 1) { close } } } }', 1),
    ('{ nodes(ids: ["Q3J5cHRvY3VycmVuY3k6MQ==", "U2lnbmFsOjE="]) { __typename id ... on Signal { type } } }', 1),
    # Two of them are the look at the database itself, two the data and its stale coins in one statement each.
    ("{ health { status } }", 2),
    ("{ health { data { newestCandleAt overduePredictions stale { symbol latest { closeTime } } } } }", 3),
]


@pytest.fixture
async def database(demo_url: URL) -> AsyncIterator[Database]:
    database = Database(demo_url, pool_size=2)
    yield database
    assert database.pool_in_use == 0
    await database.close()


@pytest.fixture
def operations(database: Database) -> Pipeline:
    return Pipeline(create_schema(), context_of(database))


async def _data(operations: Pipeline, query: str, **variables: Any) -> Any:
    answer = orjson.loads((await operations.answer(request_of(query, variables))).body)
    assert "errors" not in answer
    return answer["data"]


@pytest.mark.parametrize(("operation", "statements"), OPERATIONS, ids=[operation[:60] for operation, _ in OPERATIONS])
async def test_statements_of_an_operation(
    database: Database, operations: Pipeline, operation: str, statements: int
) -> None:
    for _ in ("cold", "cold", "warm"):
        with counted(database) as executed:
            await _data(operations, operation)
        assert len(executed) == statements


async def test_rows_are_counted_only_if_the_count_is_selected(database: Database, operations: Pipeline) -> None:
    for selection, is_counted in (("nodes { id }", False), ("nodes { id } totalCount", True)):
        with counted(database) as executed:
            await _data(operations, f"{{ signals {{ {selection} }} }}")
        assert ('AS "totalCount"' in executed[0]) is is_counted


async def test_a_table_is_read_only_if_its_field_is_selected(database: Database, operations: Pipeline) -> None:
    query = """query($more: Boolean!) {
      cryptocurrency(symbol: "BTC") { name candles(last: 1) @include(if: $more) { close } }
    }"""
    answers: list[Any] = []
    for more in (False, True):
        with counted(database) as executed:
            answers.append((await _data(operations, query, more=more))["cryptocurrency"])
        assert ("market_data" in executed[0]) is more
    assert list(answers[0]) == ["name"]
    assert list(answers[1]) == ["name", "candles"]
