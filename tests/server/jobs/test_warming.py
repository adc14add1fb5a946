"""Popular requests are recorded in Redis, and executed by servers that start."""

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

from cache.hottest import Hottest
from server.jobs import recording, warming
from tests.application import Client, application, in_one_piece
from tests.redis_server import redis_server
from tests.waiting import eventually

BITCOIN = 'query Bitcoin { cryptocurrency(symbol: "BTC") { name } }'
ANY = "query Any($symbol: String!) { cryptocurrency(symbol: $symbol) { name } }"
JSON = {"content-type": "application/json"}


@pytest.fixture
def redis_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Redis of the test's own, in which servers record several times a second."""
    monkeypatch.setattr(recording, "EVERY_SECONDS", 0.1)
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
    """A client whose short bodies arrive in one message, as they do from a socket."""
    app = application(url, **settings)

    transport = httpx.ASGITransport(in_one_piece(app))
    async with LifespanManager(app), Client(transport=transport, base_url="http://test") as client:
        # Before that, nothing is cached, so nothing is counted.
        await eventually(lambda: app.routes[0].app._fast_path._cache._feed.is_listening)
        yield client, app


async def ask(client: Client, times: int = 1, **request: Any) -> str:
    """Send the request so often; return the source of the last answer."""
    for _ in range(times):
        response = await client.post("/graphql", json=request)
        assert "data" in response.json()
    return response.headers.get("x-cache", "").partition(";")[0]


async def job(client: Client, name: str) -> dict[str, Any]:
    """The status of a background job."""
    jobs = (await client.get("/health/detailed")).json()["jobs"]
    return next(job for job in jobs if job["name"] == name)


async def next_recording(client: Client) -> None:
    """Wait until the job has run from its beginning to its end."""
    for _ in range(2):
        before = (await job(client, "recording"))["lastSuccessAt"]

        async def has_run(before: str = before) -> bool:
            return (await job(client, "recording"))["lastSuccessAt"] != before

        await eventually(has_run)


async def test_popular_requests_are_in_the_memory_of_a_server_that_starts(demo_url: URL, redis_url: str) -> None:
    async with serving(demo_url, redis_url=redis_url) as (client, _):
        await ask(client, times=5, query=ANY, variables={"symbol": "ETH"})
        await ask(client, times=2, query=BITCOIN)
        await eventually(lambda: sum(recorded(redis_url).values()) >= 7)
        await next_recording(client)
    assert recorded(redis_url) == {
        json.dumps({"query": ANY, "variables": {"symbol": "ETH"}}, separators=(",", ":")): 5,
        json.dumps({"query": BITCOIN}, separators=(",", ":")): 2,
    }
    with redis.Redis.from_url(redis_url) as observer:
        for key in observer.keys("*response:*"):
            observer.delete(key)
    async with serving(demo_url, redis_url=redis_url) as (client, app):
        memory = app.routes[0].app._fast_path._cache.memory
        await eventually(lambda: memory.stats.entries == 2)
        # Each is executed twice: the second execution finds the first one's answer.
        await eventually(lambda: memory.stats.hits >= 2)
        plans = (await health(client))["plans"]
        assert await ask(client, query=BITCOIN) == "hit-memory"
        assert await ask(client, query=ANY, variables={"symbol": "ETH"}) == "hit-memory"
        # Nor is anything compiled for them.
        assert (await health(client))["plans"] == plans


async def health(client: Client) -> dict[str, Any]:
    data = await client.data("{ health { cache { entries } plans { misses } } }")
    # The second finds the plan of this very query.
    data = await client.data("{ health { cache { entries } plans { misses } } }")
    return {"entries": data["health"]["cache"]["entries"], "plans": data["health"]["plans"]["misses"]}


async def test_only_the_request_itself_is_recorded(demo_url: URL, redis_url: str) -> None:
    """However it is sent, it is the same; nothing else that the client sent is stored."""
    async with serving(demo_url, redis_url=redis_url) as (client, _):
        noisy = json.dumps({"extensions": {"token": "secret"}, "variables": {}, "query": BITCOIN, "note": "secret"})
        await client.post("/graphql", content=noisy, headers=JSON | {"x-note": "secret", "cookie": "secret"})
        await client.get("/graphql", params={"query": BITCOIN, "token": "secret"})
        await ask(client, query=BITCOIN)
        await ask(client, query="{ health { status } }")
        await client.post("/graphql", json={"query": "{ nothing }"})
        await ask(client, query=BITCOIN + " " * 4_096)
        await eventually(lambda: sum(recorded(redis_url).values()) >= 3)
        await next_recording(client)
    assert recorded(redis_url) == {json.dumps({"query": BITCOIN}, separators=(",", ":")): 3}


async def test_counts_outlive_answers(demo_url: URL, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are counted over the answers that they got, of which each may be stored for a short time."""
    # It runs once, at the start.
    monkeypatch.setattr(recording, "EVERY_SECONDS", 600)
    async with serving(demo_url, redis_url=redis_url) as (client, app):

        async def has_run() -> bool:
            return bool((await job(client, "recording"))["lastSuccessAt"])

        await eventually(has_run)
        fast_path = app.routes[0].app._fast_path
        for _ in range(4):
            await ask(client, query=BITCOIN)
            with redis.Redis.from_url(redis_url) as observer:
                observer.flushall()
            fast_path._cache._feed.on_clear("*")
        assert await recording.record(fast_path, Hottest(fast_path._cache.shared)) == 1
    assert list(recorded(redis_url).values()) == [4]


async def test_without_redis_servers_start_serve_and_stop(demo_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "EVERY_SECONDS", 0.05)
    async with serving(demo_url, redis_url="redis://127.0.0.1:1/0") as (client, _):
        await ask(client, times=3, query=BITCOIN)
        await next_recording(client)
        assert (await job(client, "recording"))["message"] == "Redis is unavailable: nothing recorded"
        assert await ask(client, query=BITCOIN) == "hit-memory"


async def test_a_server_stops_while_it_warms_its_memory(
    demo_url: URL, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "PAUSE_SECONDS", 60)
    with redis.Redis.from_url(redis_url) as observer:
        observer.zadd("candlegraph:1:hottest", {json.dumps({"query": BITCOIN}): 1})
    async with serving(demo_url, redis_url=redis_url) as (_, app):
        await eventually(lambda: app.routes[0].app._fast_path._cache.memory.stats.entries == 1)


async def test_hashes_are_recorded_and_executed(demo_url: URL, redis_url: str) -> None:
    sha256 = hashlib.sha256(BITCOIN.encode()).hexdigest()
    hashed = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256}}}
    async with serving(demo_url, redis_url=redis_url) as (client, _):
        await ask(client, query=BITCOIN, **hashed)
        await ask(client, times=3, **hashed)
        await eventually(lambda: len(recorded(redis_url)) == 2)
    assert json.dumps({"documentId": sha256}, separators=(",", ":")) in recorded(redis_url)
    with redis.Redis.from_url(redis_url) as observer:
        observer.zrem("candlegraph:1:hottest", json.dumps({"query": BITCOIN}, separators=(",", ":")))
    async with serving(demo_url, redis_url=redis_url) as (client, app):
        await eventually(lambda: app.routes[0].app._fast_path._cache.memory.stats.entries == 1)
        assert await ask(client, **hashed) == "hit-memory"
