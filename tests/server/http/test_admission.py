"""More than the database can answer in time: who is refused, how soon, and who is not."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import URL, text
from starlette.types import Message, Receive, Scope, Send

from cache.entries import Entry
from db.connection_queue import ConnectionQueue
from db.engine import Database
from server.http import admission
from server.http.admission import Admission, AdmissionMiddleware
from server.monitoring.metrics import RequestMetrics
from server.overload.protocol import PAUSE
from tests.application import Client, serving
from tests.server.monitoring.test_metrics import figures, heard

COIN = '{ cryptocurrency(symbol: "BTC") { name } }'


@pytest.fixture
async def small(demo_url: URL) -> AsyncIterator[Client]:
    """A client of a server with two connections, which keeps answers."""
    async with serving(demo_url, database_pool_size=2) as client:
        await heard(client)
        yield client


@pytest.fixture
async def crowded(small: Client, demo_url: URL) -> AsyncIterator[Client]:
    """The same, where an answer is kept, and others have waited for a connection for longer than a second."""
    sources = [(await small.post("/graphql", json={"query": COIN})).headers["x-cache"] for _ in range(3)]
    assert sources[-1].startswith("hit-memory")
    locker = Database(demo_url, pool_size=1)
    async with locker.transaction() as connection:
        await connection.execute(text("LOCK TABLE signals"))
        waiting = [
            asyncio.create_task(small.ask(f"{{ signals(first: {number}) {{ nodes {{ id }} }} }}"))
            for number in range(1, 6)
        ]
        # A second, and what they take to come so far.
        await asyncio.sleep(1.6)
        yield small
    for answer in await asyncio.gather(*waiting):
        assert "errors" not in answer
    await locker.close()


async def test_one_too_many_is_refused_at_once(crowded: Client) -> None:
    for accept, media_type in [("*/*", "application/json"), ("application/graphql-response+json",) * 2]:
        started = time.perf_counter()
        # Not even JSON: it is refused before it is read.
        response = await crowded.post("/graphql", content=b"{", headers={"accept": accept})
        assert time.perf_counter() - started < 0.05
        assert response.status_code == 503
        assert 1 <= int(response.headers["retry-after"]) <= 3
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        [error] = response.json()["errors"]
        assert error["extensions"]["code"] == "OVERLOADED"
    assert (await crowded.get("/graphql", params={"query": "{ __typename }"})).status_code == 503


async def test_a_refusal_is_like_all_before_it(crowded: Client) -> None:
    """Whatever adds headers to it, nothing of that stays."""
    for _ in range(20):
        response = await crowded.post("/graphql", content=b"{")
        names = [name for name, _ in response.headers.multi_items()]
        assert len(names) == len(set(names)), names


async def test_what_needs_no_database_is_served_still(crowded: Client) -> None:
    answer = await crowded.post("/graphql", json={"query": COIN})
    assert (answer.status_code, answer.json()["data"]) == (200, {"cryptocurrency": {"name": "Bitcoin"}})
    assert (await crowded.get("/livez")).status_code == 200
    assert (await crowded.get("/graphql", headers={"accept": "text/html"})).status_code == 200
    await crowded.post("/graphql", json={"query": "{ __typename }"})
    told = await figures(crowded)
    assert told("requests_total", outcome="shed") == 1
    assert told("requests_total", outcome="ok") == 4


async def test_an_answer_that_fades_is_served_while_nobody_can_make_it_anew(
    crowded: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Entry, "needs_refresh", True)
    assert (await crowded.post("/graphql", json={"query": COIN})).status_code == 200


async def test_a_burst_is_served(demo_url: URL) -> None:
    async with serving(demo_url, database_pool_size=2, cache_enabled=False) as client:
        asked = [client.post("/graphql", json={"query": COIN}) for _ in range(400)]
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {200}
        assert all("errors" not in answer.json() for answer in answers)


async def test_who_was_let_in_and_waits_in_vain_is_told(demo_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(demo_url, request_timeout_seconds=0.2) as client:
        with monkeypatch.context() as patched:
            patched.setattr(ConnectionQueue, "acquire_nowait", lambda _: False)
            patched.setattr(ConnectionQueue, "_pass_on", lambda _: None)
            error = await client.error(COIN)
            assert error["extensions"]["code"] == "OVERLOADED"
        assert (await figures(client))("statements_total", outcome="overloaded") == 1
        assert await client.data(COIN)


async def test_only_so_many_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MOST_WAITING", 5)
    monkeypatch.setattr(admission, "JUDGED_SECONDS", 0)
    queue = ConnectionQueue(1)
    gate = Admission(queue, 1)
    async with queue.slot(60):
        for number in range(1, 6):
            asyncio.ensure_future(queue.acquire(60))  # noqa: RUF006 - given away below
            await asyncio.sleep(0)
            assert gate.is_full == (number == 5)
    for _ in range(5):
        await asyncio.sleep(0)
        queue.release(0)
    assert not gate.is_full


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError


async def refused(middleware: AdmissionMiddleware, *headers: tuple[bytes, bytes]) -> Any:
    """The scope of a request that was refused."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/graphql", "method": "POST", "query_string": b"", "headers": [*headers]}
    await middleware(scope, None, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 503
    return scope


async def test_a_flood_is_not_read_as_fast_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Admission, "is_full", True)
    monkeypatch.setattr(admission, "REFUSALS_A_SECOND", 2)
    middleware = AdmissionMiddleware(
        never, "/graphql", Admission(ConnectionQueue(1), 1), RequestMetrics(CollectorRegistry())
    )
    # From the beginning of a second on.
    await asyncio.sleep(1 - time.perf_counter() % 1)
    paused = [PAUSE in await refused(middleware) for _ in range(4)]
    assert paused == [False, False, True, True]
    # Others may come by the same connection.
    assert PAUSE not in await refused(middleware, (b"x-forwarded-for", b"192.0.2.1"))
    await asyncio.sleep(1)
    assert PAUSE not in await refused(middleware)
