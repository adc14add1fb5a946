"""The benchmark queries are valid, and all servers return the same answers to them."""

import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from asgi_lifespan import LifespanManager
from graphql import GraphQLSchema, build_schema, parse, validate
from sqlalchemy import URL

from benchmarks import data
from benchmarks.answers import canonical, find_difference
from benchmarks.growth import growth_queries
from benchmarks.peers import floor
from benchmarks.queries import COUNT, Query, queries
from tests.application import Client, serving

QUERIES = [*queries().values(), *growth_queries()]


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema((Path(__file__).parents[2] / "schema.graphql").read_text())


@pytest.fixture
async def peers(database_url: URL, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Clients of the servers that run in Python, on a small part of the benchmark data."""
    url = database_url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    await connection.execute("SET timezone = 'UTC'")
    await data.load(connection, data.FULL, lambda *_: None, hours=300, days=3, predictions=20)
    await connection.execute(f"ALTER DATABASE {database_url.database} SET timezone = 'UTC'")
    await connection.close()
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DATABASE_POOL_SIZE", "2")
    tutorial: Any = importlib.import_module("benchmarks.peers.strawberry_tutorial")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(LifespanManager(floor.app))
        stack.push_async_callback(tutorial.engine.dispose)
        clients = {
            "floor": Client(transport=httpx.ASGITransport(floor.app), base_url="http://test"),
            "strawberry": Client(transport=httpx.ASGITransport(tutorial.app), base_url="http://test"),
        }
        clients["candlegraph"] = await stack.enter_async_context(serving(database_url))
        yield dict(clients)
        await clients["floor"].aclose()
        await clients["strawberry"].aclose()


async def send(client: httpx.AsyncClient, server: str, query: Query, number: int) -> httpx.Response:
    path = f"/{query.name}" if server == "floor" else "/graphql"
    bodies = query.bodies(server)
    return await client.post(path, json=bodies[number % len(bodies)])


async def test_all_servers_return_the_same_answers(peers: dict[str, httpx.AsyncClient]) -> None:
    for query in QUERIES:
        for number in range(0, len(query.variables), 250):
            expected = (await send(peers["candlegraph"], "candlegraph", query, number)).json()
            assert "errors" not in expected
            for server in ("floor", "strawberry"):
                if query.supports(server):
                    answer = (await send(peers[server], server, query, number)).json()
                    difference = find_difference(canonical(expected["data"]), canonical(answer["data"]))
                    assert difference is None, f"{query.name}, {server}: {difference}"


async def test_answers_have_as_many_rows_as_requested(peers: dict[str, httpx.AsyncClient]) -> None:
    coins = canonical((await send(peers["candlegraph"], "candlegraph", queries()["Q2"], 0)).json()["data"])
    assert [len(coin["candles"]) for coin in coins["cryptocurrencies"]] == [24] * 10
    assert [len(coin["predictions"]) for coin in coins["cryptocurrencies"]] == [5] * 10
    assert [len(signal["trades"]) for coin in coins["cryptocurrencies"] for signal in coin["signals"]] == [2] * 50
    days = (await send(peers["candlegraph"], "candlegraph", queries()["Q5"], 0)).json()["data"]
    assert len(days["cryptocurrency"]["candles"]) == 3


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_queries_are_valid_in_the_schema(schema: GraphQLSchema, query: Query) -> None:
    for server in ("candlegraph", "cold"):
        for body in (query.bodies(server)[0], query.bodies(server)[-1]):
            assert validate(schema, parse(body["query"].replace(COUNT, "1"))) == []


def test_every_cold_document_is_new() -> None:
    for query in queries().values():
        body = orjson.dumps(query.bodies("cold")[0]).decode()
        assert body.count(COUNT) == 1
        assert canonical({"name_123": {"candles_7": []}}) == {"name": {"candles": []}}


def test_the_variables_change_with_every_request() -> None:
    variants = [orjson.dumps(body) for body in queries()["Q4"].bodies("candlegraph")]
    assert len(set(variants)) == len(variants) == 1000
