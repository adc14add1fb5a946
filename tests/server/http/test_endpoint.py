"""The endpoint: GraphQL over HTTP, and its errors."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import URL, text

from db.engine import Database
from server.http.request_parsing import MAX_BODY_OF_WRITERS, MAX_DEPTH, MAX_QUERY
from tests.application import Client, serving

LEGACY = "application/json"
MODERN = "application/graphql-response+json"
JSON = {"content-type": LEGACY}
QUERY = b'{"query": "{ __typename }"}'
MUTATION = "mutation { __typename }"


def with_variables(variables: str) -> bytes:
    return b'{"query": "{ __typename }", "variables": %s}' % variables.encode()


def nested(levels: int) -> bytes:
    """A body that nests this deep."""
    return with_variables('{"a":' * (levels - 2) + "[]" + "}" * (levels - 2))


# Malformed requests: the same status for either media type.

MALFORMED = [
    (b"", 400, "BAD_REQUEST"),
    (b"5", 400, "BAD_REQUEST"),
    (b"null", 400, "BAD_REQUEST"),
    (b"[" + QUERY + b"]", 400, "BAD_REQUEST"),
    (b"[" * 100_000, 400, "BAD_REQUEST"),
    (nested(MAX_DEPTH + 1), 400, "BAD_REQUEST"),
    (b"\xff\xfe", 400, "BAD_REQUEST"),
    ("{ __typename }".encode("utf-16"), 400, "BAD_REQUEST"),
    (QUERY[:-1], 400, "BAD_REQUEST"),
    (b"{}", 400, "BAD_REQUEST"),
    (b'{"query": 5}', 400, "BAD_REQUEST"),
    (b'{"query": ""}', 400, "BAD_REQUEST"),
    (b'{"query": "\\ud800"}', 400, "BAD_REQUEST"),
    (with_variables("[]"), 400, "BAD_REQUEST"),
    (with_variables('"{}"'), 400, "BAD_REQUEST"),
    (with_variables('{"a": 1e999}'), 400, "BAD_REQUEST"),
    (with_variables('{"a": NaN}'), 400, "BAD_REQUEST"),
    (b'{"query": "{ __typename }", "operationName": 5}', 400, "BAD_REQUEST"),
    (b'{"query": "{ __typename }", "extensions": "{}"}', 400, "BAD_REQUEST"),
    (b'{"query": "%s"}' % (b"#" * (MAX_QUERY + 1)), 413, "QUERY_TOO_LARGE"),
    (b" " * (MAX_BODY_OF_WRITERS + 1), 413, "PAYLOAD_TOO_LARGE"),
]


@pytest.mark.parametrize("accept", [LEGACY, MODERN])
@pytest.mark.parametrize(("body", "status", "code"), MALFORMED, ids=[repr(body[:40]) for body, *_ in MALFORMED])
async def test_a_malformed_request_is_rejected(
    client: Client, accept: str, body: bytes, status: int, code: str
) -> None:
    response = await client.post("/graphql", content=body, headers={**JSON, "accept": accept})
    assert response.status_code == status
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    assert [*response.json()] == ["errors"]
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == [code]


async def test_the_message_says_what_is_wrong_with_the_json(client: Client) -> None:
    response = await client.post("/graphql", content=b'{"query": "{ __typename }",}', headers=JSON)
    assert "comma" in response.json()["errors"][0]["message"]
    response = await client.post("/graphql", content=b"[" + QUERY + b"]", headers=JSON)
    assert "batches are not served" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "body",
    [
        QUERY,
        b"\xef\xbb\xbf" + QUERY,
        nested(MAX_DEPTH),
        with_variables("null"),
        with_variables('{"unknown": "\\u0000"}'),
        b'{"query": "{ nonsense", "query": "{ __typename }"}',
        b'{"query": "{ __typename }", "operationName": ""}',
        b'{"query": "query A { __typename } query B { nothing: __typename }", "operationName": "A"}',
        b'{"query": "{ __typename }", "extensions": {"a": [1]}, "operationName": null, "id": 5}',
    ],
    ids=repr,
)
async def test_a_request_is_answered(client: Client, body: bytes) -> None:
    response = await client.post("/graphql", content=body, headers=JSON)
    assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}})


# An operation that cannot be executed: 400, but 200 for clients that accept application/json only.

UNUSABLE = [
    ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
    ({"query": " "}, "GRAPHQL_PARSE_FAILED"),
    ({"query": "{ a }"}, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "fragment A on Query { __typename }"}, "OPERATION_RESOLUTION_FAILURE"),
    ({"query": "query A { __typename } query B { __typename }"}, "OPERATION_RESOLUTION_FAILURE"),
    ({"query": "{ __typename }", "operationName": "B"}, "OPERATION_RESOLUTION_FAILURE"),
    (
        {"query": "query($a: Int) { signals(first: $a) { totalCount } }", "variables": {"a": "x"}},
        "BAD_USER_INPUT",
    ),
    ({"query": "query($a: ID!) { node(id: $a) { id } }"}, "BAD_USER_INPUT"),
    ({"query": "subscription { __typename }"}, None),
    ({"query": "{ signals(first: %s) { totalCount } }" % ("9" * 5_000)}, "GRAPHQL_VALIDATION_FAILED"),
]


@pytest.mark.parametrize(("accept", "status"), [(LEGACY, 200), ("*/*", 200), (MODERN, 400)])
@pytest.mark.parametrize(("sent", "code"), UNUSABLE, ids=[str(sent)[:60] for sent, _ in UNUSABLE])
async def test_an_operation_that_cannot_be_executed_has_no_data(
    client: Client, accept: str, status: int, sent: dict[str, Any], code: str | None
) -> None:
    response = await client.post("/graphql", json=sent, headers={"accept": accept})
    assert response.status_code == status
    assert [*response.json()] == ["errors"]
    found = response.json()["errors"][0]["extensions"]["code"]
    assert found == code if code else found != "INTERNAL_SERVER_ERROR"


@pytest.mark.parametrize("accept", [LEGACY, MODERN])
async def test_errors_of_fields_come_beside_the_data(client: Client, accept: str) -> None:
    query = '{ node(id: "x") { id } __typename }'
    response = await client.post("/graphql", json={"query": query}, headers={"accept": accept})
    assert response.status_code == 200
    assert response.json()["data"] == {"node": None, "__typename": "Query"}
    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_ID"


async def test_an_operation_that_skips_every_field_has_empty_data(client: Client) -> None:
    query = "query($skipped: Boolean!) { __typename @skip(if: $skipped) health @skip(if: $skipped) { status } }"
    for _ in range(3):
        assert await client.ask(query, skipped=True) == {"data": {}}


# Methods.


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "NONSENSE"])
async def test_other_methods_get_the_allowed_ones(client: Client, method: str) -> None:
    response = await client.request(method, "/graphql", content=QUERY, headers=JSON)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"
    assert response.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


async def test_mutations_are_never_executed_by_get(client: Client) -> None:
    params = {"query": "query A { __typename } mutation B { __typename }", "operationName": "B"}
    response = await client.get("/graphql", params=params, headers={"accept": MODERN})
    assert 400 <= response.status_code < 500
    assert [*response.json()] == ["errors"]


async def test_a_mutation_by_get_gets_405(client: Client) -> None:
    query = "mutation { logout(input: {}) { signedOut } }"
    for accept in (LEGACY, MODERN):
        response = await client.get("/graphql", params={"query": query}, headers={"accept": accept})
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        assert response.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
    assert (await client.head("/graphql", params={"query": query})).status_code == 405
    assert await client.data(query) == {"logout": {"signedOut": False}}


# Queries by GET.


async def test_a_query_by_get(client: Client) -> None:
    query = "query A($symbol: String!) { cryptocurrency(symbol: $symbol) { name } } query B { __typename }"
    params = {"query": query, "variables": '{"symbol": "ETH"}', "operationName": "A", "extensions": "{}", "other": "x"}
    response = await client.get("/graphql", params=params)
    assert response.json() == {"data": {"cryptocurrency": {"name": "Ethereum"}}}


async def test_empty_parameters_count_as_missing(client: Client) -> None:
    params = {"query": "{ __typename }", "variables": "", "operationName": "", "extensions": ""}
    assert (await client.get("/graphql", params=params)).json() == {"data": {"__typename": "Query"}}


MALFORMED_GETS = [
    ("", 400),
    ("query=", 400),
    ("query={__typename}&variables=%7B", 400),
    ("query={__typename}&variables=[]", 400),
    ("query={__typename}&variables=" + "[" * 500, 400),
    ('query={__typename}&variables={"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", 400),
    ("query={__typename}&extensions=5", 400),
    ("query={__typename}&query={__typename}", 400),
    ("query={__typename}&variables={}&variables={}", 400),
    ("query=%FF", 400),
    ("query={__typename}&padding=" + "x" * 50_000, 414),
]


@pytest.mark.parametrize(("query_string", "status"), MALFORMED_GETS, ids=[text[:60] for text, _ in MALFORMED_GETS])
async def test_a_malformed_get_is_rejected(client: Client, query_string: str, status: int) -> None:
    response = await client.get(f"/graphql?{query_string}", headers={"accept": MODERN})
    assert response.status_code == status
    assert [*response.json()] == ["errors"]


async def test_the_query_string_of_a_post_is_ignored(client: Client) -> None:
    response = await client.post("/graphql?query={nonsense}&query=", content=QUERY, headers=JSON)
    assert response.json() == {"data": {"__typename": "Query"}}


# CORS, the database, and timeouts.


async def test_cors_is_as_configured(demo_url: URL) -> None:
    origin = {"origin": "https://charts.example"}
    async with serving(demo_url, cors_origins=["https://charts.example"]) as client:
        response = await client.post("/graphql", content=QUERY, headers={**JSON, **origin})
        assert response.headers["access-control-allow-origin"] == "https://charts.example"
        response = await client.post("/graphql", content=b"", headers={**JSON, **origin})
        assert response.status_code == 400
        assert response.headers["access-control-allow-origin"] == "https://charts.example"
        preflight = {
            **origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        }
        assert (await client.options("/graphql", headers=preflight)).status_code == 200
    async with serving(demo_url) as client:
        response = await client.post("/graphql", content=QUERY, headers={**JSON, **origin})
        assert "access-control-allow-origin" not in response.headers


async def test_lost_connections_to_the_database_are_replaced(demo_url: URL) -> None:
    """The backends of all pooled connections are terminated; a read is retried once on a new one."""
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


async def test_a_statement_timeout_has_a_code(database: Database, database_url: URL) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("LOCK TABLE signals IN ACCESS EXCLUSIVE MODE"))
        async with serving(database_url) as client:
            error = await client.error("{ signals { nodes { id } } }")
    assert error["extensions"]["code"] == "STATEMENT_TIMEOUT"
