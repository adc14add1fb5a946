"""The request queue: requests that arrive while enough others are in progress wait, in order, and none is lost."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import uvicorn
from sqlalchemy import URL, text

from db.engine import Database
from server.http import admission
from server.overload import request_queue
from server.overload.protocol import Protocol
from server.overload.request_queue import REQUEST_QUEUE, RequestQueue
from tests.application import application
from tests.server.listening import listening
from tests.server.monitoring.test_metrics import Figures
from tests.server.overload.keep_alive import Answer, Broken, Connection, asked
from tests.waiting import eventually

COIN = b"POST /graphql HTTP/1.1"
SLOW = "{ signals(first: 1) { nodes { type } } }"
QUICK = "{ __typename }"
BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'signals'::regclass"


class HeldConnection:
    """A connection that notes when its request is released."""

    def __init__(self, name: str, tasks: list[Any], released: list[str]) -> None:
        self.loop = asyncio.get_running_loop()
        self.name, self.tasks, self.released = name, tasks, released
        self.is_closed = False

    def resume(self, _received_at: float) -> bool:
        if not self.is_closed:
            self.released.append(self.name)
            self.tasks.append(self)
        return not self.is_closed


class Crowd:
    """A queue of a server that may have four requests in progress, and has."""

    def __init__(self) -> None:
        self.request_queue = RequestQueue("/graphql", 1, 10)
        self.tasks: list[Any] = ["in progress"] * 4
        self.released: list[str] = []

    def enqueue(self, name: str) -> HeldConnection:
        connection = HeldConnection(name, self.tasks, self.released)
        assert self.request_queue.should_hold(COIN)
        self.request_queue.enqueue(connection)
        return connection

    async def respond(self) -> None:
        """One request ends; what its response releases is released before this returns."""
        connection = HeldConnection("", self.tasks, [])
        self.tasks.pop()
        self.request_queue.on_response(connection)
        # Callbacks run in the order in which they were scheduled.
        ran = asyncio.Event()
        connection.loop.call_soon(ran.set)
        await ran.wait()


@pytest.fixture
async def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    monkeypatch.setattr(request_queue, "MAX_IN_PROGRESS", 4)
    monkeypatch.setattr(request_queue, "SAMPLE_SECONDS", 60)
    return Crowd()


async def test_requests_are_released_in_batches_and_in_order(crowd: Crowd) -> None:
    for name in "abc":
        crowd.enqueue(name)
    await crowd.respond()
    assert crowd.released == []
    await crowd.respond()
    assert crowd.released == ["a", "b"]
    await crowd.respond()
    await crowd.respond()
    assert (crowd.released, [*crowd.request_queue.waiting]) == (["a", "b", "c"], [])


async def test_closed_connections_do_not_count(crowd: Crowd) -> None:
    connections = [crowd.enqueue(name) for name in "abcd"]
    connections[0].is_closed = connections[2].is_closed = True
    await crowd.respond()
    await crowd.respond()
    assert crowd.released == ["b", "d"]


async def test_other_paths_do_not_wait(crowd: Crowd) -> None:
    crowd.enqueue("a")
    assert crowd.request_queue.should_hold(b"GET /graphql?query=")
    assert not crowd.request_queue.should_hold(b"GET /livez HTTP/1.1")


async def test_long_requests_do_not_keep_the_queue_closed(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "SAMPLE_SECONDS", 0.02)
    # The process is the bottleneck, by any measure; but no request ends.
    monkeypatch.setattr(request_queue, "BOTTLENECK_SHARE", 0)
    for name in "abcdef":
        crowd.enqueue(name)
    await eventually(lambda: crowd.released)
    assert crowd.released == ["a", "b"]
    # From now on, it is enough that some of the later requests end. One sample is scheduled already.
    monkeypatch.setattr(request_queue, "SAMPLE_SECONDS", 60)
    await eventually(lambda: len(crowd.released) == 4)
    await crowd.respond()
    await crowd.respond()
    assert len(crowd.released) == 6


async def test_no_request_waits_for_a_process_that_is_not_the_bottleneck(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_queue, "SAMPLE_SECONDS", 0.02)
    # However busy the machine is.
    monkeypatch.setattr(request_queue, "BOTTLENECK_SHARE", inf)
    crowd.enqueue("a")
    await eventually(lambda: crowd.released == ["a"])
    assert not crowd.request_queue.should_hold(COIN)
    crowd.tasks.clear()
    # Once the server is no longer full, the next crowd is measured anew.
    await eventually(lambda: crowd.request_queue.should_hold(COIN))


async def test_the_queue_is_overdue_by_the_pace_of_batches_or_the_oldest_wait(crowd: Crowd) -> None:
    crowd.request_queue._longest_wait_seconds = 0.1
    crowd.enqueue("a")
    # A batch has taken a second.
    crowd.request_queue._mean_seconds = 1
    assert crowd.request_queue.is_overdue
    crowd.request_queue._mean_seconds = 0
    await eventually(lambda: crowd.request_queue.is_overdue)
    assert time.perf_counter() - crowd.request_queue.waiting[0][1] > 0.1
    crowd.request_queue.release_all()
    assert not crowd.request_queue.is_overdue


class Listening:
    """A server that listens."""

    def __init__(self, server: uvicorn.Server, address: str) -> None:
        self.server, self.address = server, address

    @property
    def request_queue(self) -> RequestQueue:
        found: RequestQueue = self.server.lifespan.state[REQUEST_QUEUE]
        return found

    @property
    def waiting(self) -> Any:
        return self.request_queue.waiting

    async def figures(self) -> Figures:
        connection = await Connection.opened(self.address)
        answer = await connection.get("/metrics")
        await connection.close()
        return Figures(answer.body.decode())

    async def until_waiting(self, number: int) -> None:
        async def waits() -> bool:
            return (await self.figures())("requests_waiting") == number

        await eventually(waits)


@contextmanager
def serving(url: URL, **settings: Any) -> Iterator[Listening]:
    app = application(url, cache_enabled=False, **settings)
    with listening(app, http=Protocol) as (server, address):
        yield Listening(server, address)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests may be in progress; others are released by responses only."""
    monkeypatch.setattr(request_queue, "MAX_IN_PROGRESS", 2)
    monkeypatch.setattr(request_queue, "MAX_IN_PROGRESS_BY_CONNECTION", 0)
    monkeypatch.setattr(request_queue, "SAMPLE_SECONDS", 60)


class Lock:
    """While it is held, statements that read signals wait."""

    def __init__(self, url: URL) -> None:
        self._database = Database(url, pool_size=2)

    async def __aenter__(self) -> "Lock":
        self._transaction = self._database.transaction()
        connection = await self._transaction.__aenter__()
        await connection.execute(text("LOCK TABLE signals"))
        return self

    async def until_blocked(self, number: int) -> None:
        """Wait until so many statements wait for the lock."""

        async def are_blocked() -> bool:
            return await self._database.fetch_value(text(BLOCKED)) == number

        await eventually(are_blocked)

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.__aexit__(None, None, None)
        await self._database.close()


def parts_of(query: str) -> tuple[bytes, bytes]:
    """The headers of a request, after its first line, and its body."""
    body = orjson.dumps({"query": query})
    return f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode(), body


async def fill(served: Listening, lock: Lock) -> list[asyncio.Task[Answer]]:
    """Two requests that wait for the lock, so that the server is full."""
    first = [asyncio.create_task(asked(served.address, SLOW)) for _ in range(2)]
    await lock.until_blocked(2)
    return first


async def test_a_request_waits_and_is_answered(small: None, demo_url: URL) -> None:
    with serving(demo_url) as served:
        async with Lock(demo_url) as lock:
            first = await fill(served, lock)
            began = time.perf_counter()
            later = [asyncio.create_task(asked(served.address, QUICK)) for _ in range(3)]
            # /metrics, as any other path, does not wait.
            await served.until_waiting(3)
            assert not any(task.done() for task in later)
            waited = time.perf_counter() - began
        answers = await asyncio.gather(*first, *later)
        assert {answer.status for answer in answers} == {200}
        assert not any(b"errors" in answer.body for answer in answers)
        figures = await served.figures()
        assert figures("requests_waiting") == 0
        # The wait is part of the time that a request took.
        assert (figures("request_seconds_sum", source="bypass") or 0) > waited


async def test_closed_connections_hold_up_no_other(small: None, demo_url: URL) -> None:
    with serving(demo_url) as served:
        async with Lock(demo_url) as lock:
            first = await fill(served, lock)
            closing = [await Connection.opened(served.address) for _ in range(3)]
            asking = [asyncio.create_task(connection.ask(QUICK)) for connection in closing]
            await served.until_waiting(3)
            later = asyncio.create_task(asked(served.address, QUICK))
            await served.until_waiting(4)
            closed = [connection for connection, _ in served.waiting][:3]
            for connection in closing:
                await connection.close()
            for task in asking:
                with pytest.raises(Broken):
                    await task
            await eventually(lambda: all(connection.transport.is_closing() for connection in closed))
        assert {answer.status for answer in await asyncio.gather(*first, later)} == {200}


async def test_a_request_in_parts_waits_in_order(small: None, demo_url: URL) -> None:
    with serving(demo_url) as served:
        async with Lock(demo_url) as lock:
            first = await fill(served, lock)
            url = urlsplit(served.address)
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
            head, body = parts_of(QUICK)
            parts = [COIN + b"\r\n", head, body[:5], body[5:]]
            # The first two are read; later ones stay in the socket, so that no client fills the memory.
            for part, held in zip(parts, (1, 2, 2, 2), strict=True):
                writer.write(part)
                await writer.drain()
                await served.until_waiting(1)
                [(connection, _)] = served.waiting
                await eventually(lambda count=held, held=connection._held: len(held) == count)
            assert connection._held == parts[:2]
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await asyncio.gather(*first)


async def test_a_pipelined_request_that_is_incomplete_harms_none_before_it(small: None, demo_url: URL) -> None:
    with serving(demo_url) as served:
        url = urlsplit(served.address)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        async with Lock(demo_url) as lock:
            head, body = parts_of(SLOW)
            writer.write(COIN + b"\r\n" + head + body + COIN + b"\r\n")
            first = asyncio.create_task(asked(served.address, SLOW))
            await lock.until_blocked(2)
            waiting = asyncio.create_task(asked(served.address, QUICK))
            await served.until_waiting(1)
        assert {answer.status for answer in await asyncio.gather(first, waiting)} == {200}
        writer.write(head + body)
        for _ in range(2):
            assert (await reader.readuntil(b"}]}}}")).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_request_that_would_wait_too_long_is_rejected(
    small: None, demo_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "LONGEST_WAIT_SECONDS", 0.2)
    with serving(demo_url) as served:
        async with Lock(demo_url) as lock:
            first = await fill(served, lock)
            waiting = asyncio.create_task(asked(served.address, QUICK))
            await served.until_waiting(1)
            await eventually(lambda: served.request_queue.is_overdue)
            rejected = await asked(served.address, QUICK)
            assert rejected.status == 503
            assert rejected.headers[b"x-request-id"].decode() in rejected.body.decode()
            # It did not wait for those before it.
            assert not waiting.done()
        assert {answer.status for answer in await asyncio.gather(*first, waiting)} == {200}


async def test_requests_that_wait_are_answered_before_the_server_stops(small: None, demo_url: URL) -> None:
    with serving(demo_url) as served:
        async with Lock(demo_url) as lock:
            first = await fill(served, lock)
            waiting = asyncio.create_task(asked(served.address, QUICK))
            await served.until_waiting(1)
            served.server.should_exit = True
            assert (await waiting).status == 200
        assert {answer.status for answer in await asyncio.gather(*first)} == {200}


async def test_the_wait_counts_towards_the_deadline(small: None, demo_url: URL) -> None:
    with serving(demo_url, request_timeout_seconds=1) as served:
        async with Lock(demo_url) as lock:
            first = await fill(served, lock)
            waiting = asyncio.create_task(asked(served.address, SLOW))
            await served.until_waiting(1)
            [(_, received_at)] = served.waiting
            # It is released when the first reach their deadline, and has only the rest of its own left.
            assert b"STATEMENT_TIMEOUT" in (await waiting).body
            assert time.perf_counter() - received_at < 1.8
            await asyncio.gather(*first)
