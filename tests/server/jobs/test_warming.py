"""What servers are asked most is recorded, and asked first by those that start."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import redis
from asgi_lifespan import LifespanManager
from sqlalchemy import URL
from starlette.applications import Starlette

from server.jobs import warming
from tests.application import Client, application, in_one_piece
from tests.redis_server import redis_server

BITCOIN = 'query Bitcoin { cryptocurrency(symbol: "BTC") { name } }'
ANY = "query Any($symbol: String!) { cryptocurrency(symbol: $symbol) { name } }"
JSON = {"content-type": "application/json"}


@pytest.fixture
def redis_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Redis of our own, in which servers record several times a second."""
    monkeypatch.setattr(warming, "RECORD_EVERY_SECONDS", 0.1)
    with redis_server() as server:
        yield server.url


def recorded(url: str) -> dict[str, float]:
    with redis.Redis.from_url(url) as observer:
        return {
            request.decode(): round(score)
            for request, score in observer.zrange("candlegraph:1:hottest", 0, -1, withscores=True)
        }


@asynccontextmanager
async def serving(url: URL, **settings: Any) -> AsyncIterator[tuple[Client, Starlette]]:
    """A client whose short bodies arrive at once, as they do from a socket."""
    app = application(url, **settings)

    transport = httpx.ASGITransport(in_one_piece(app))
    async with LifespanManager(app), Client(transport=transport, base_url="http://test") as client:
        # Before that, nothing is kept, so nothing is counted.
        await until(lambda: app.routes[0].app._fast_path._cache._feed.is_listening)
        yield client, app


async def asked(client: Client, times: int = 1, **request: Any) -> str:
    for _ in range(times):
        response = await client.post("/graphql", json=request)
        assert "data" in response.json()
    return response.headers.get("x-cache", "").partition(";")[0]


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_the_hottest_are_in_memory_before_anybody_asks(demo_url: URL, redis_url: str) -> None:
    async with serving(demo_url, redis_url=redis_url) as (client, _):
        await asked(client, times=5, query=ANY, variables={"symbol": "ETH"})
        await asked(client, times=2, query=BITCOIN)
        await until(lambda: len(recorded(redis_url)) == 2)
        await asyncio.sleep(0.3)
    assert recorded(redis_url) == {
        json.dumps({"query": ANY, "variables": {"symbol": "ETH"}}, separators=(",", ":")): 5,
        json.dumps({"query": BITCOIN}, separators=(",", ":")): 2,
    }
    with redis.Redis.from_url(redis_url) as observer:
        for key in observer.keys("*response:*"):
            observer.delete(key)
    async with serving(demo_url, redis_url=redis_url) as (client, _):
        await asyncio.sleep(1)
        figures = await health(client)
        assert figures["entries"] == 2
        plans = figures["plans"]
        assert await asked(client, query=BITCOIN) == "hit-memory"
        assert await asked(client, query=ANY, variables={"symbol": "ETH"}) == "hit-memory"
        # Nor is anything compiled for them.
        assert (await health(client))["plans"] == plans


async def health(client: Client) -> dict[str, Any]:
    data = await client.data("{ health { cache { entries } plans { misses } } }")
    # The second finds the plan of this very query.
    data = await client.data("{ health { cache { entries } plans { misses } } }")
    return {"entries": data["health"]["cache"]["entries"], "plans": data["health"]["plans"]["misses"]}


async def test_only_what_was_asked_is_recorded(demo_url: URL, redis_url: str) -> None:
    """However it is sent, it is the same; and nothing else that was sent is written down."""
    async with serving(demo_url, redis_url=redis_url) as (client, _):
        noisy = json.dumps({"extensions": {"token": "secret"}, "variables": {}, "query": BITCOIN, "note": "secret"})
        await client.post("/graphql", content=noisy, headers=JSON | {"x-note": "secret", "cookie": "secret"})
        await client.get("/graphql", params={"query": BITCOIN, "token": "secret"})
        await asked(client, query=BITCOIN)
        await asked(client, query="{ health { status } }")
        await client.post("/graphql", json={"query": "{ nothing }"})
        await asked(client, query=BITCOIN + " " * 4_096)
        await until(lambda: sum(recorded(redis_url).values()) == 3)
        await asyncio.sleep(0.3)
    assert recorded(redis_url) == {json.dumps({"query": BITCOIN}, separators=(",", ":")): 3}


async def test_counts_outlive_answers(demo_url: URL, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is made anew is still asked as often as it was."""
    monkeypatch.setattr(warming, "RECORD_EVERY_SECONDS", 1)
    async with serving(demo_url, redis_url=redis_url) as (client, app):
        for _ in range(4):
            await asked(client, query=BITCOIN)
            with redis.Redis.from_url(redis_url) as observer:
                observer.flushall()
            app.routes[0].app._fast_path._cache.on_clear("*")
        await until(lambda: recorded(redis_url))
    assert list(recorded(redis_url).values()) == [4]


async def test_with_redis_away_servers_start_serve_and_stop(demo_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "RECORD_EVERY_SECONDS", 0.05)
    async with serving(demo_url, redis_url="redis://127.0.0.1:1/0") as (client, _):
        await asked(client, times=3, query=BITCOIN)
        await asyncio.sleep(0.5)
        assert await asked(client, query=BITCOIN) == "hit-memory"


async def test_a_server_that_stops_while_it_warms(
    demo_url: URL, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "PAUSE_SECONDS", 60)
    with redis.Redis.from_url(redis_url) as observer:
        observer.zadd("candlegraph:1:hottest", {json.dumps({"query": BITCOIN}): 1})
    async with asyncio.timeout(5), serving(demo_url, redis_url=redis_url) as (client, _):
        await asyncio.sleep(0.5)
        assert (await health(client))["entries"] == 1


async def test_hashes_are_recorded_and_asked(demo_url: URL, redis_url: str) -> None:
    sha256 = hashlib.sha256(BITCOIN.encode()).hexdigest()
    hashed = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256}}}
    async with serving(demo_url, redis_url=redis_url) as (client, _):
        await asked(client, query=BITCOIN, **hashed)
        await asked(client, times=3, **hashed)
        await until(lambda: len(recorded(redis_url)) == 2)
    assert json.dumps({"documentId": sha256}, separators=(",", ":")) in recorded(redis_url)
    with redis.Redis.from_url(redis_url) as observer:
        observer.zrem("candlegraph:1:hottest", json.dumps({"query": BITCOIN}, separators=(",", ":")))
    async with serving(demo_url, redis_url=redis_url) as (client, _):
        await asyncio.sleep(0.5)
        assert await asked(client, **hashed) == "hit-memory"
