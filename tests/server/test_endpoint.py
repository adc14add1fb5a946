"""The endpoint: requests of any kind get an answer that says what is wrong, and never a 500."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, text

from db.engine import Database
from tests.application import Client, serving

JSON = {"content-type": "application/json"}
QUERY = b'{"query": "{ __typename }"}'

BODIES = [
    (QUERY, {"content-type": "application/json; charset=utf-8"}, 200, None),
    (QUERY, {"content-type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    (QUERY, {}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    (b"", JSON, 400, "BAD_REQUEST"),
    (b"5", JSON, 400, "BAD_REQUEST"),
    (b"null", JSON, 400, "BAD_REQUEST"),
    (b"[" * 100_000, JSON, 400, "BAD_REQUEST"),
    (b"[" + QUERY + b"]", JSON, 400, "BAD_REQUEST"),
    (b"\xff\xfe", JSON, 400, "BAD_REQUEST"),
    (QUERY[:-1], JSON, 400, "BAD_REQUEST"),
    (b"{}", JSON, 400, "BAD_REQUEST"),
    (b'{"query": 5}', JSON, 400, "BAD_REQUEST"),
    (b'{"query": ""}', JSON, 400, "BAD_REQUEST"),
    (b'{"query": "{ __typename }", "variables": []}', JSON, 400, "BAD_REQUEST"),
    (b'{"query": "{ __typename }", "variables": {"a": 1e999}}', JSON, 400, "BAD_REQUEST"),
    (b'{"query": "{ __typename }", "operationName": 5}', JSON, 400, "BAD_REQUEST"),
    (b'{"query": "{ __typename }", "operationName": "B"}', JSON, 400, "OPERATION_RESOLUTION_FAILURE"),
    (b'{"query": "{ __typename }", "extensions": 5}', JSON, 400, "BAD_REQUEST"),
    (b'{"query": "\\ud800"}', JSON, 400, "BAD_REQUEST"),
    (b'{"query": "{"}', JSON, 400, "GRAPHQL_PARSE_FAILED"),
    (b'{"query": "%s"}' % (b"[" * 50_000), JSON, 400, "GRAPHQL_PARSE_FAILED"),
    (b'{"query": "%s"}' % (b"{a" * 20_000), JSON, 400, None),
    (b'{"query": "{ a }"}', JSON, 400, "GRAPHQL_VALIDATION_FAILED"),
    (
        b'{"query": "query($a: Int) { signals(first: $a) { totalCount } }", "variables": {"a": "x"}}',
        JSON,
        400,
        "BAD_USER_INPUT",
    ),
    (b'{"query": "%s"}' % (b"#" * 1_000_000), JSON, 413, "QUERY_TOO_LARGE"),
    (b" " * (4 * 2**20 + 1), JSON, 413, "PAYLOAD_TOO_LARGE"),
]


@pytest.mark.parametrize(("body", "headers", "status", "code"), BODIES, ids=[repr(body[:40]) for body, *_ in BODIES])
async def test_body(client: Client, body: bytes, headers: dict[str, str], status: int, code: str | None) -> None:
    response = await client.post("/graphql", content=body, headers=headers)
    answer = response.json()
    assert response.status_code == status
    assert ("data" in answer) is (status == 200)
    if code is not None:
        assert answer["errors"][0]["extensions"]["code"] == code


async def test_a_query_by_get(client: Client) -> None:
    query = "query($symbol: String!) { cryptocurrency(symbol: $symbol) { name } }"
    response = await client.get("/graphql", params={"query": query, "variables": '{"symbol": "ETH"}'})
    assert response.json() == {"data": {"cryptocurrency": {"name": "Ethereum"}}}
    response = await client.get("/graphql", params={"query": query, "variables": "{"})
    assert response.status_code == 400


async def test_other_methods_are_told_which_are_allowed(client: Client) -> None:
    response = await client.put("/graphql", content=QUERY, headers=JSON)
    assert response.status_code == 405
    assert {"GET", "POST"} <= set(response.headers["allow"].split(", "))


async def test_the_media_type_is_negotiated(client: Client) -> None:
    for accept in ("application/graphql-response+json", "application/json"):
        response = await client.post("/graphql", content=QUERY, headers={**JSON, "accept": accept})
        assert response.headers["content-type"].startswith(accept)


async def test_a_browser_gets_graphiql_with_queries_that_work(client: Client) -> None:
    assert (await client.get("/", follow_redirects=False)).headers["location"] == "/graphql"
    page = (await client.get("/graphql", headers={"accept": "text/html"})).text
    assert "<title>Candlegraph</title>" in page
    assert "query PredictionsAndOutcomes" in page


async def test_errors_are_capped(client: Client) -> None:
    answer = await client.ask(f"{{ {' '.join(f'f{n}' for n in range(50))} }}")
    assert len(answer["errors"]) == 10


async def test_cors_is_as_configured(demo_url: URL) -> None:
    origin = {"origin": "https://charts.example"}
    async with serving(demo_url, cors_origins=["https://charts.example"]) as client:
        response = await client.post("/graphql", content=QUERY, headers={**JSON, **origin})
        assert response.headers["access-control-allow-origin"] == "https://charts.example"
    async with serving(demo_url) as client:
        response = await client.post("/graphql", content=QUERY, headers={**JSON, **origin})
        assert "access-control-allow-origin" not in response.headers


async def test_a_lost_connection_is_no_news_to_the_next_request(demo_url: URL) -> None:
    """The backends of every pooled connection are ended; a read is tried once more on a new one."""
    query = '{ cryptocurrency(symbol: "BTC") { name } }'
    killer = Database(demo_url, pool_size=1)
    async with serving(demo_url, database_pool_size=3) as client:
        await asyncio.gather(*(client.data(query) for _ in range(3)))
        ended = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        assert await killer.fetch_value(text(ended)) >= 1
        for _ in range(5):
            assert (await client.data(query))["cryptocurrency"]["name"] == "Bitcoin"
    await killer.close()


async def test_a_statement_that_takes_too_long_is_an_error_with_a_code(database: Database, database_url: URL) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("LOCK TABLE signals IN ACCESS EXCLUSIVE MODE"))
        async with serving(database_url) as client:
            error = await client.error("{ signals { nodes { id } } }")
    assert error["extensions"]["code"] == "STATEMENT_TIMEOUT"


@pytest.fixture(scope="module")
def runner() -> Any:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def fuzzed(runner: asyncio.Runner, demo_url: URL) -> Any:
    async def opened() -> AsyncIterator[Client]:
        async with serving(demo_url) as client:
            yield client

    opening = opened()
    yield runner.run(anext(opening))
    runner.run(opening.aclose())


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "query": ANY_JSON
        | st.sampled_from(["{ __typename }", "query A($a: Int) { signals(first: $a) { totalCount } }"]),
        "variables": ANY_JSON | st.dictionaries(st.just("a"), ANY_JSON, max_size=1),
        "operationName": ANY_JSON,
        "extensions": ANY_JSON,
    },
)


def written(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # integers and texts that JSON has no place for
        return repr(value).encode("utf-8", "surrogatepass")


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary() | ANY_JSON.map(written) | REQUESTS.map(written))
def test_no_body_is_a_500(runner: asyncio.Runner, fuzzed: Client, body: bytes) -> None:
    response = runner.run(fuzzed.post("/graphql", content=body, headers=JSON))
    assert response.status_code in (200, 400)
    assert b"INTERNAL_SERVER_ERROR" not in response.content


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    symbol=st.text(max_size=30),
    search=st.text(max_size=30),
    cursor=st.text(max_size=30),
    confidence=st.floats(allow_nan=False, allow_infinity=False),
    at=st.text(max_size=30) | st.datetimes().map(lambda at: at.isoformat() + "Z"),
)
def test_no_value_is_a_fault_of_ours(
    runner: asyncio.Runner, fuzzed: Client, symbol: str, search: str, cursor: str, confidence: float, at: str
) -> None:
    query = """query($symbol: String!, $search: String, $cursor: String, $confidence: Float, $at: DateTime) {
      cryptocurrency(symbol: $symbol) { candles(from: $at, last: 1) { close } }
      cryptocurrencies(filter: { search: $search, symbols: [$symbol] }) { totalCount }
      signals(after: $cursor, filter: { minConfidence: $confidence, symbol: $symbol }) { totalCount }
    }"""
    variables = {"symbol": symbol, "search": search, "cursor": cursor, "confidence": confidence, "at": at}
    response = runner.run(
        fuzzed.post("/graphql", content=written({"query": query, "variables": variables}), headers=JSON)
    )
    assert response.status_code in (200, 400)
    assert b"INTERNAL_SERVER_ERROR" not in response.content
