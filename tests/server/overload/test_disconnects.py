"""A client that leaves frees what was taken for it: the statement in PostgreSQL, and its connection."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from sqlalchemy import URL, text

from db.engine import Database
from server.overload.disconnects import ClientGone, Watch, WhileAwaited
from tests.db.activity import Activity, watching
from tests.server.monitoring.test_metrics import Figures

# As it is to end after the client has left.
SOON = 1.0
_numbers = itertools.count(1)


@pytest.fixture
async def activity(demo_url: URL) -> AsyncIterator[Activity]:
    async with watching(demo_url) as activity:
        yield activity


@asynccontextmanager
async def locked(url: URL) -> AsyncIterator[None]:
    """Within the block, whoever reads signals waits."""
    database = Database(url, pool_size=1)
    async with database.transaction() as connection:
        await connection.execute(text("LOCK TABLE signals"))
        yield
    await database.close()


def query() -> str:
    """A query of signals that nobody asked before."""
    return f"{{ signals(first: 1, filter: {{ minConfidence: 0.{next(_numbers):05} }}) {{ nodes {{ type }} }} }}"


async def sent(address: str, method: str = "POST") -> asyncio.StreamWriter:
    """A connection on which a query was sent."""
    url = urlsplit(address)
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    if method == "POST":
        body = orjson.dumps({"query": query()})
        head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    else:
        writer.write(f"GET /graphql?{httpx.QueryParams(query=query())} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await writer.drain()
    return writer


async def in_use(address: str) -> float | None:
    async with httpx.AsyncClient(base_url=address) as client:
        return Figures((await client.get("/metrics")).text)("pool_in_use")


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_its_statements_end(served: str, demo_url: URL, activity: Activity, method: str) -> None:
    async with locked(demo_url):
        writers = [await sent(served, method) for _ in range(5)]
        await activity.seconds_until("FROM signals", 5)
        for writer in writers:
            writer.close()
        assert await activity.seconds_until("FROM signals", 0) < SOON
        assert await in_use(served) == 0


async def test_who_stays_gets_the_answer(served: str, demo_url: URL, activity: Activity) -> None:
    async with httpx.AsyncClient(base_url=served) as client:
        async with locked(demo_url):
            asking = asyncio.create_task(client.post("/graphql", json={"query": query()}))
            # Whoever asks the same is not left alone by the one who leaves.
            await activity.seconds_until("FROM signals", 1)
            writer = await sent(served)
            await activity.seconds_until("FROM signals", 2)
            writer.close()
            await activity.seconds_until("FROM signals", 1)
            await asyncio.sleep(0.1)
        answer = await asking
    assert (answer.status_code, set(answer.json())) == (200, {"data"})


class Receive:
    """A client that leaves after some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.calls = 0

    async def __call__(self) -> dict[str, object]:
        self.calls += 1
        await asyncio.sleep(self._seconds)
        return {"type": "http.disconnect"}


async def test_what_is_quick_is_not_watched() -> None:
    receive, watch = Receive(0), Watch()
    for _ in range(3):
        with WhileAwaited(watch, receive, inf):
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)
    assert (receive.calls, watch.unwatched) == (0, {})


async def test_the_end_of_the_client_is_told_from_other_ends() -> None:
    with pytest.raises(ClientGone), WhileAwaited(Watch(), Receive(0), inf):
        await asyncio.sleep(10)
    with pytest.raises(TimeoutError), WhileAwaited(Watch(), Receive(10), inf):
        await asyncio.wait_for(asyncio.sleep(10), 0.1)

    async def watched() -> None:
        with WhileAwaited(Watch(), Receive(10), inf):
            await asyncio.sleep(10)

    task = asyncio.create_task(watched())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # Whatever was cancelled here, this task is not.
    await asyncio.sleep(0)
