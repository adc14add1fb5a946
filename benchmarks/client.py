"""A small load generator of our own, for what wrk cannot do: arrivals at a given rate, and a given number of requests.

wrk sends the next request when the last is answered, so a slow answer delays those that would have had to wait for it.
For latencies that hides the worst. Here requests arrive at random times (a Poisson process), come what may, and their
latency counts from then.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count, cycle
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httptools
import orjson
import uvloop

from benchmarks.queries import COUNT, Query
from benchmarks.servers import Server

ARRIVING_CONNECTIONS = 64
# Servers close connections that were idle for five seconds.
IDLE_SECONDS = 2
_numbers = count(900_000_000)


class _Connection(asyncio.Protocol):
    """One request at a time; its answer is read to the end and dropped."""

    def __init__(self) -> None:
        self._transport: Any = None  # uvloop's are no asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._answered: asyncio.Future[None] | None = None
        self._used_at = time.perf_counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        assert self._answered is not None
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if status == 200:
            self._answered.set_result(None)
        else:
            self._answered.set_exception(RuntimeError(f"A request was answered with status {status}."))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or RuntimeError("The server closed a connection."))

    @property
    def is_idle(self) -> bool:
        return time.perf_counter() - self._used_at > IDLE_SECONDS

    async def send(self, request: bytes) -> None:
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._answered
        self._used_at = time.perf_counter()

    def close(self) -> None:
        self._transport.close()


async def _open(server: Server) -> _Connection:
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(_Connection, "127.0.0.1", server.port))[1]


class Requests:
    """The requests of some queries to one server, one of each in turn, for ever."""

    def __init__(self, server: Server, queries: Sequence[Query]) -> None:
        self._bodies = [
            cycle([_written(server, query, body) for body in query.bodies(server.name)]) for query in queries
        ]
        self._turn = cycle(self._bodies)

    def __next__(self) -> bytes:
        request = next(next(self._turn))
        # Numbers have the same length, so that the content's length stays as it is.
        return request.replace(COUNT.encode(), b"%09d" % next(_numbers)) if b"@" in request else request


def _written(server: Server, query: Query, body: object) -> bytes:
    url = urlsplit(server.url(query))
    content = orjson.dumps(body)
    length = len(content.replace(COUNT.encode(), b"0" * 9))
    head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + content


@asynccontextmanager
async def _connections(server: Server, number: int) -> AsyncIterator[list[_Connection]]:
    opened = [await _open(server) for _ in range(number)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


def send_for(server: Server, query: Query, *, connections: int, seconds: float) -> float:
    """Requests one after another on each connection, as wrk does. Returns how many were answered in a second."""

    async def send() -> float:
        requests, sent, began = Requests(server, [query]), count(), time.perf_counter()

        async def keep_sending(connection: _Connection) -> None:
            while time.perf_counter() < began + seconds:
                await connection.send(next(requests))
                next(sent)

        async with _connections(server, connections) as opened:
            await asyncio.gather(*map(keep_sending, opened))
        return next(sent) / (time.perf_counter() - began)

    return uvloop.run(send())


def send_many(server: Server, queries: Sequence[Query], *, connections: int, number: int) -> None:
    """So many requests, as fast as they are answered."""

    async def send() -> None:
        requests, left = Requests(server, queries), iter(range(number))

        async def keep_sending(connection: _Connection) -> None:
            for _ in left:
                await connection.send(next(requests))

        async with _connections(server, connections) as opened:
            await asyncio.gather(*map(keep_sending, opened))

    uvloop.run(send())


def arrive(server: Server, query: Query, *, per_second: float, seconds: float) -> list[float]:
    """The latencies in milliseconds of requests that arrive at this rate, in ascending order."""

    async def run() -> list[float]:
        requests, random = Requests(server, [query]), Random(0)
        latencies: list[float] = []
        waiting: deque[float] = deque()
        async with _connections(server, ARRIVING_CONNECTIONS) as opened, asyncio.TaskGroup() as tasks:
            free = list(opened)

            async def serve(connection: _Connection, arrived: float) -> None:
                if connection.is_idle:
                    connection.close()
                    opened.append(connection := await _open(server))
                while True:
                    await connection.send(next(requests))
                    latencies.append((time.perf_counter() - arrived) * 1000)
                    if not waiting:
                        break
                    arrived = waiting.popleft()
                free.append(connection)

            started = time.perf_counter()
            due = started
            while (due := due + random.expovariate(per_second)) < started + seconds:
                # Timers tick in milliseconds: those that are due together arrive together.
                if (early := due - time.perf_counter()) > 0:
                    await asyncio.sleep(early)
                if free:
                    tasks.create_task(serve(free.pop(), time.perf_counter()))
                else:
                    waiting.append(due)
        return sorted(latencies)

    try:
        return uvloop.run(run())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
