"""Load shedding: which requests are rejected, how soon, and which are still served."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import URL, text
from starlette.types import Message

from cache.entries import Entry
from db.connection_queue import ConnectionQueue
from db.engine import Database
from server.http import admission
from server.http.admission import Admission, LoadShedder
from server.monitoring.metrics import RequestMetrics
from server.request_state import RequestState, begin_request
from tests.application import Client, serving
from tests.server.monitoring.test_metrics import figures, until_listening
from tests.waiting import eventually

COIN = '{ cryptocurrency(symbol: "BTC") { name } }'


@pytest.fixture
async def small(demo_url: URL) -> AsyncIterator[Client]:
    """A client of a server with two connections to the database, and a cache."""
    async with serving(demo_url, database_pool_size=2) as client:
        await until_listening(client)
        yield client


@pytest.fixture
async def crowded(small: Client, demo_url: URL) -> AsyncIterator[Client]:
    """The same, with one answer in memory, while other requests have waited for a connection for over a second."""
    sources = [(await small.post("/graphql", json={"query": COIN})).headers["x-cache"] for _ in range(3)]
    assert sources[-1].startswith("hit-memory")
    locker = Database(demo_url, pool_size=1)
    async with locker.transaction() as connection:
        await connection.execute(text("LOCK TABLE signals"))
        waiting = [
            asyncio.create_task(small.ask(f"{{ signals(first: {number}) {{ nodes {{ id }} }} }}"))
            for number in range(1, 6)
        ]
        await eventually(functools.partial(is_overloaded, small))
        yield small
    for answer in await asyncio.gather(*waiting):
        assert "errors" not in answer
    await locker.close()


async def is_overloaded(client: Client) -> bool:
    """Whether the server rejects a request, malformed as it is, before it is parsed."""
    return (await client.post("/graphql", content=b"{")).status_code == 503


async def test_a_request_beyond_capacity_is_rejected_at_once(crowded: Client) -> None:
    for accept, media_type in [("*/*", "application/json"), ("application/graphql-response+json",) * 2]:
        started = time.perf_counter()
        # Not even JSON: it is rejected before it is parsed.
        response = await crowded.post("/graphql", content=b"{", headers={"accept": accept, "x-request-id": "mine"})
        assert time.perf_counter() - started < 0.05
        assert response.status_code == 503
        assert 1 <= int(response.headers["retry-after"]) <= 3
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-request-id"] == "mine"
        assert int(response.headers["content-length"]) == len(response.content)
        [error] = response.json()["errors"]
        assert error["extensions"] == {"code": "OVERLOADED", "requestId": "mine"}
    assert (await crowded.get("/graphql", params={"query": "{ __typename }"})).status_code == 503


async def test_rejections_share_no_headers(crowded: Client) -> None:
    """The headers that middleware adds to one rejection are not in the next."""
    for _ in range(20):
        response = await crowded.post("/graphql", content=b"{")
        names = [name for name, _ in response.headers.multi_items()]
        assert len(names) == len(set(names)), names


async def test_requests_that_need_no_database_are_still_served(crowded: Client) -> None:
    before = await figures(crowded)
    answer = await crowded.post("/graphql", json={"query": COIN})
    assert (answer.status_code, answer.json()["data"]) == (200, {"cryptocurrency": {"name": "Bitcoin"}})
    assert (await crowded.get("/livez")).status_code == 200
    assert (await crowded.get("/graphql", headers={"accept": "text/html"})).status_code == 200
    await crowded.post("/graphql", json={"query": "{ __typename }"})
    after = await figures(crowded)
    for outcome in ("shed", "ok"):
        earlier, later = (found("requests_total", outcome=outcome) or 0 for found in (before, after))
        assert later - earlier == 1, outcome


async def test_an_answer_that_is_due_for_a_refresh_is_served_during_overload(
    crowded: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Entry, "needs_refresh", True)
    assert (await crowded.post("/graphql", json={"query": COIN})).status_code == 200


async def test_a_burst_is_served(demo_url: URL) -> None:
    async with serving(demo_url, database_pool_size=2, cache_enabled=False) as client:
        burst = [client.post("/graphql", json={"query": COIN}) for _ in range(400)]
        answers = await asyncio.gather(*burst)
        assert {answer.status_code for answer in answers} == {200}
        assert all("errors" not in answer.json() for answer in answers)


async def test_a_request_that_waits_in_vain_gets_an_error(demo_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(demo_url, request_timeout_seconds=0.2) as client:
        with monkeypatch.context() as patched:
            patched.setattr(ConnectionQueue, "acquire_nowait", lambda _: False)
            patched.setattr(ConnectionQueue, "_hand_over_slot", lambda _: None)
            error = await client.error(COIN)
            assert error["extensions"]["code"] == "OVERLOADED"
        assert (await figures(client))("statements_total", outcome="overloaded") == 1
        assert await client.data(COIN)


async def test_the_number_of_waiting_requests_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MOST_WAITING", 5)
    monkeypatch.setattr(admission, "ESTIMATE_SECONDS", 0)
    queue = ConnectionQueue(1)
    gate = Admission(queue, 60)
    async with queue.slot(60):
        for number in range(1, 6):
            asyncio.ensure_future(queue.acquire(60))  # noqa: RUF006 - released below
            await eventually(lambda count=number: queue.waiting == count)
            assert gate.is_full == (number == 5)
    for left in range(4, -1, -1):
        await eventually(lambda count=left: queue.waiting == count)
        queue.release(0)
    assert not gate.is_full


async def rejected(load_shedder: LoadShedder, *headers: tuple[bytes, bytes]) -> RequestState:
    """The state of a request that was rejected."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/graphql", "method": "POST", "query_string": b"", "headers": [*headers]}
    state = begin_request(scope)
    assert load_shedder.must_reject(scope, state)
    await load_shedder.reject(state, send)
    assert sent[0]["status"] == 503
    return state


async def test_in_a_flood_connections_are_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Admission, "is_full", True)
    monkeypatch.setattr(admission, "REJECTIONS_A_SECOND", 2)
    now = 5.0
    monkeypatch.setattr(admission, "time", SimpleNamespace(perf_counter=lambda: now))
    load_shedder = LoadShedder(Admission(ConnectionQueue(1), 1), RequestMetrics(CollectorRegistry()))
    paused = [(await rejected(load_shedder)).pause_seconds is not None for _ in range(4)]
    assert paused == [False, False, True, True]
    # A proxy sends the requests of other clients by the same connection.
    assert (await rejected(load_shedder, (b"x-forwarded-for", b"192.0.2.1"))).pause_seconds is None
    now += 1
    assert (await rejected(load_shedder)).pause_seconds is None
