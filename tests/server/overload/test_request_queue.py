"""Requests that come while enough others are under way: they wait, in order, and nothing of them is lost."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
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

COIN = b"POST /graphql HTTP/1.1"
SLOW = "{ signals(first: 1) { nodes { type } } }"
QUICK = "{ __typename }"


class HeldConnection:
    """A connection that notes what comes in."""

    def __init__(self, name: str, tasks: list[Any], came_in: list[str]) -> None:
        self.loop = asyncio.get_running_loop()
        self.name, self.tasks, self.came_in = name, tasks, came_in
        self.is_gone = False

    def resume(self, _came_at: float) -> bool:
        if not self.is_gone:
            self.came_in.append(self.name)
            self.tasks.append(self)
        return not self.is_gone


class Crowd:
    """A lobby with room for four, all of it taken."""

    def __init__(self) -> None:
        self.request_queue = RequestQueue("/graphql", 1, 10)
        self.tasks: list[Any] = ["under way"] * 4
        self.came_in: list[str] = []

    def guest(self, name: str) -> HeldConnection:
        guest = HeldConnection(name, self.tasks, self.came_in)
        assert self.request_queue.must_wait(COIN)
        self.request_queue.hold(guest)
        return guest

    async def leave(self) -> None:
        guest = HeldConnection("", self.tasks, [])
        self.tasks.pop()
        self.request_queue.left(guest)
        await asyncio.sleep(0)


@pytest.fixture
async def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    monkeypatch.setattr(request_queue, "UNDER_WAY", 4)
    monkeypatch.setattr(request_queue, "LOOK_SECONDS", 60)
    return Crowd()


async def test_they_are_let_in_by_batches_and_in_order(crowd: Crowd) -> None:
    for name in "abc":
        crowd.guest(name)
    await crowd.leave()
    assert crowd.came_in == []
    await crowd.leave()
    assert crowd.came_in == ["a", "b"]
    await crowd.leave()
    await crowd.leave()
    assert (crowd.came_in, [*crowd.request_queue.waiting]) == (["a", "b", "c"], [])


async def test_who_has_gone_is_nobody(crowd: Crowd) -> None:
    guests = [crowd.guest(name) for name in "abcd"]
    guests[0].is_gone = guests[2].is_gone = True
    await crowd.leave()
    await crowd.leave()
    assert crowd.came_in == ["b", "d"]


async def test_other_paths_do_not_wait(crowd: Crowd) -> None:
    crowd.guest("a")
    assert crowd.request_queue.must_wait(b"GET /graphql?query=")
    assert not crowd.request_queue.must_wait(b"GET /livez HTTP/1.1")


async def test_those_who_stay_keep_nobody_out(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "LOOK_SECONDS", 0.02)
    # As busy as can be; but nobody leaves.
    monkeypatch.setattr(request_queue, "BUSY_SHARE", 0)
    for name in "abcdef":
        crowd.guest(name)
    await asyncio.sleep(0.03)
    assert crowd.came_in == ["a", "b"]
    # From now on, it is enough that some of the later ones leave.
    monkeypatch.setattr(request_queue, "LOOK_SECONDS", 60)
    await asyncio.sleep(0.02)
    before = len(crowd.came_in)
    await crowd.leave()
    await crowd.leave()
    assert len(crowd.came_in) == before + 2


async def test_nobody_waits_for_a_process_that_has_time(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "LOOK_SECONDS", 0.02)
    crowd.guest("a")
    await asyncio.sleep(0.03)
    assert crowd.came_in == ["a"]
    assert not crowd.request_queue.must_wait(COIN)
    crowd.tasks.clear()
    await asyncio.sleep(0.03)
    # It is asked anew the next time.
    assert crowd.request_queue.must_wait(COIN)


async def test_who_would_wait_for_too_long_is_told(crowd: Crowd) -> None:
    crowd.request_queue._longest_wait_seconds = 0.1
    crowd.guest("a")
    assert not crowd.request_queue.is_late
    # A batch takes a second, by the last one.
    crowd.request_queue._mean_seconds = 1
    assert crowd.request_queue.is_late
    crowd.request_queue._mean_seconds = 0
    await asyncio.sleep(0.11)
    assert crowd.request_queue.is_late
    crowd.request_queue.empty()
    assert not crowd.request_queue.is_late


class Listening:
    def __init__(self, server: uvicorn.Server, address: str) -> None:
        self.server, self.address = server, address

    @property
    def waiting(self) -> Any:
        return self.server.lifespan.state[REQUEST_QUEUE].waiting

    async def told(self) -> Figures:
        connection = await Connection.opened(self.address)
        answer = await connection.get("/metrics")
        await connection.close()
        return Figures(answer.body.decode())

    async def until_waiting(self, number: int) -> None:
        async with asyncio.timeout(5):
            while (await self.told())("requests_waiting") != number:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)


@contextmanager
def serving(url: URL, **settings: Any) -> Iterator[Listening]:
    app = application(url, cache_enabled=False, **settings)
    with listening(app, http=Protocol) as (server, address):
        yield Listening(server, address)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests may be under way; those who wait are let in by who leaves alone."""
    monkeypatch.setattr(request_queue, "UNDER_WAY", 2)
    monkeypatch.setattr(request_queue, "UNDER_WAY_BY_CONNECTION", 0)
    monkeypatch.setattr(request_queue, "LOOK_SECONDS", 60)


class Lock:
    """While it is held, whoever reads signals waits."""

    def __init__(self, url: URL) -> None:
        self._database = Database(url, pool_size=1)

    async def __aenter__(self) -> None:
        self._transaction = self._database.transaction()
        connection = await self._transaction.__aenter__()
        await connection.execute(text("LOCK TABLE signals"))

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.__aexit__(None, None, None)
        await self._database.close()


def parts_of(query: str) -> tuple[bytes, bytes]:
    """The headers of a request, after its first line, and its body."""
    body = orjson.dumps({"query": query})
    return f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode(), body


async def fill(served: Listening) -> list[asyncio.Task[Answer]]:
    """Two requests that wait for the lock, so that there is no room for more."""
    first = [asyncio.create_task(asked(served.address, SLOW)) for _ in range(2)]
    await asyncio.sleep(0.3)
    return first


async def test_a_request_waits_and_is_answered(small: None, demo_url: URL) -> None:
    with serving(demo_url) as served:
        async with Lock(demo_url):
            first = await fill(served)
            began = time.perf_counter()
            later = [asyncio.create_task(asked(served.address, QUICK)) for _ in range(3)]
            # What balancers ask for does not wait.
            await served.until_waiting(3)
            await asyncio.sleep(0.2)
            assert not any(task.done() for task in later)
        answers = await asyncio.gather(*first, *later)
        assert {answer.status for answer in answers} == {200}
        assert not any(b"errors" in answer.body for answer in answers)
        told = await served.told()
        assert told("requests_waiting") == 0
        # Their wait is part of how long they took.
        assert 0.6 < (told("request_seconds_sum", source="bypass") or 0) < 5 * (time.perf_counter() - began + 0.4)


async def test_who_leaves_holds_up_nobody(small: None, demo_url: URL) -> None:
    with serving(demo_url) as served:
        async with Lock(demo_url):
            first = await fill(served)
            leaving = [await Connection.opened(served.address) for _ in range(3)]
            asking = [asyncio.create_task(connection.ask(QUICK)) for connection in leaving]
            await served.until_waiting(3)
            later = asyncio.create_task(asked(served.address, QUICK))
            await served.until_waiting(4)
            for connection in leaving:
                await connection.close()
            for task in asking:
                with pytest.raises(Broken):
                    await task
            # The server notices.
            await asyncio.sleep(0.1)
        assert {answer.status for answer in await asyncio.gather(*first, later)} == {200}


async def test_a_request_in_parts_waits_in_order(small: None, demo_url: URL) -> None:
    with serving(demo_url) as served:
        async with Lock(demo_url):
            first = await fill(served)
            url = urlsplit(served.address)
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
            head, body = parts_of(QUICK)
            parts = [COIN + b"\r\n", head, body[:5], body[5:]]
            # The first two are read; what comes later stays where it is, so that nobody fills the memory.
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05)
                await served.until_waiting(1)
            [(guest, _)] = served.waiting
            assert guest._held == parts[:2]
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await asyncio.gather(*first)


async def test_a_request_that_has_only_begun_harms_none_before_it(small: None, demo_url: URL) -> None:
    with serving(demo_url) as served:
        url = urlsplit(served.address)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        async with Lock(demo_url):
            head, body = parts_of(SLOW)
            writer.write(COIN + b"\r\n" + head + body + COIN + b"\r\n")
            first = asyncio.create_task(asked(served.address, SLOW))
            await asyncio.sleep(0.3)
            waiting = asyncio.create_task(asked(served.address, QUICK))
            await served.until_waiting(1)
        assert {answer.status for answer in await asyncio.gather(first, waiting)} == {200}
        writer.write(head + body)
        for _ in range(2):
            assert (await reader.readuntil(b"}]}}}")).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_one_too_many_is_turned_away(small: None, demo_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "LONGEST_WAIT_SECONDS", 0.2)
    with serving(demo_url) as served:
        async with Lock(demo_url):
            first = await fill(served)
            waiting = asyncio.create_task(asked(served.address, QUICK))
            await served.until_waiting(1)
            await asyncio.sleep(0.25)
            began = time.perf_counter()
            refused = await asked(served.address, QUICK)
            assert (refused.status, time.perf_counter() - began < 0.05) == (503, True)
            assert not waiting.done()
        assert {answer.status for answer in await asyncio.gather(*first, waiting)} == {200}


async def test_who_waits_is_answered_before_the_end(small: None, demo_url: URL) -> None:
    with serving(demo_url) as served:
        async with Lock(demo_url):
            first = await fill(served)
            waiting = asyncio.create_task(asked(served.address, QUICK))
            await served.until_waiting(1)
            served.server.should_exit = True
            assert (await waiting).status == 200
        assert {answer.status for answer in await asyncio.gather(*first)} == {200}


async def test_the_wait_counts_towards_the_deadline(small: None, demo_url: URL) -> None:
    with serving(demo_url, request_timeout_seconds=1) as served:
        async with Lock(demo_url):
            first = await fill(served)
            await asyncio.sleep(0.3)
            began = time.perf_counter()
            waiting = asyncio.create_task(asked(served.address, SLOW))
            # It is let in when the first are given up, and has half of its time left.
            assert b"STATEMENT_TIMEOUT" in (await waiting).body
            assert time.perf_counter() - began < 1.3
            await asyncio.gather(*first)
