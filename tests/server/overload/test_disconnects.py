"""When a client disconnects, its statement in PostgreSQL is cancelled, and the connection returns to the pool."""

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
from server.overload.disconnects import CancelOnDisconnect, ClientDisconnected, DisconnectMonitor
from tests.db.activity import Activity, watching
from tests.server.monitoring.test_metrics import Figures
from tests.waiting import eventually

# Within so many seconds after the client has disconnected.
SOON = 1.0
_numbers = itertools.count(1)


@pytest.fixture
async def activity(demo_url: URL) -> AsyncIterator[Activity]:
    async with watching(demo_url) as activity:
        yield activity


@asynccontextmanager
async def locked(url: URL) -> AsyncIterator[None]:
    """Within the block, statements that read signals wait."""
    database = Database(url, pool_size=1)
    async with database.transaction() as connection:
        await connection.execute(text("LOCK TABLE signals"))
        yield
    await database.close()


def query() -> str:
    """A query of signals that has not been sent before."""
    return f"{{ signals(first: 1, filter: {{ minConfidence: 0.{next(_numbers):05} }}) {{ nodes {{ type }} }} }}"


async def open_with_query(address: str, method: str = "POST") -> asyncio.StreamWriter:
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


async def pool_in_use(address: str) -> float | None:
    async with httpx.AsyncClient(base_url=address) as client:
        return Figures((await client.get("/metrics")).text)("pool_in_use")


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_the_statements_of_a_disconnected_client_are_cancelled(
    served: str, demo_url: URL, activity: Activity, method: str
) -> None:
    async with locked(demo_url):
        writers = [await open_with_query(served, method) for _ in range(5)]
        await activity.seconds_until("FROM signals", 5)
        for writer in writers:
            writer.close()
        assert await activity.seconds_until("FROM signals", 0) < SOON
        assert await pool_in_use(served) == 0


async def test_a_client_that_stays_gets_the_answer(served: str, demo_url: URL, activity: Activity) -> None:
    async with httpx.AsyncClient(base_url=served) as client:
        async with locked(demo_url):
            asking = asyncio.create_task(client.post("/graphql", json={"query": query()}))
            await activity.seconds_until("FROM signals", 1)
            writer = await open_with_query(served)
            await activity.seconds_until("FROM signals", 2)
            # The disconnect of one client does not cancel the statement of the other.
            writer.close()
            await activity.seconds_until("FROM signals", 1)
        answer = await asking
    assert (answer.status_code, set(answer.json())) == (200, {"data"})


class Receive:
    """A client that disconnects at once, or never."""

    def __init__(self, *, disconnects: bool) -> None:
        self._disconnects = disconnects
        self.calls = 0

    async def __call__(self) -> dict[str, object]:
        self.calls += 1
        if not self._disconnects:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}


async def test_short_requests_are_not_watched() -> None:
    receive, monitor = Receive(disconnects=True), DisconnectMonitor()
    for _ in range(3):
        with CancelOnDisconnect(monitor, receive, inf):
            pass
    await eventually(lambda: monitor.ticks > 0)
    assert (receive.calls, monitor.unwatched) == (0, {})


async def test_a_disconnect_is_distinguished_from_other_ends() -> None:
    with pytest.raises(ClientDisconnected), CancelOnDisconnect(DisconnectMonitor(), Receive(disconnects=True), inf):
        await asyncio.Event().wait()
    stays = Receive(disconnects=False)
    with pytest.raises(TimeoutError), CancelOnDisconnect(DisconnectMonitor(), stays, inf):
        await asyncio.wait_for(asyncio.Event().wait(), 0.1)

    async def watched() -> None:
        with CancelOnDisconnect(DisconnectMonitor(), stays, inf):
            await asyncio.Event().wait()

    stays.calls = 0
    task = asyncio.create_task(watched())
    await eventually(lambda: stays.calls)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # Only the watched task was cancelled, and not this one.
    this = asyncio.current_task()
    assert this is not None
    assert not this.cancelling()
