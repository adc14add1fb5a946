"""A small load generator for what wrk cannot do: arrivals at a given rate, and a given number of requests.

wrk sends the next request when the last is answered, so a slow answer delays the requests that would have had to wait
for it, which hides the worst latencies. Here requests arrive at random times (a Poisson process), whether or not
earlier ones are answered, and latency is measured from the arrival.
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
# Servers close connections that are idle for five seconds.
IDLE_SECONDS = 2
_numbers = count(900_000_000)


class _Connection(asyncio.Protocol):
    """Sends one request at a time, reads the response to its end, and discards it."""

    def __init__(self) -> None:
        self._transport: Any = None  # uvloop's transports are not instances of asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._response: asyncio.Future[None] | None = None
        self._used_at = time.perf_counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        assert self._response is not None
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if status == 200:
            self._response.set_result(None)
        else:
            self._response.set_exception(RuntimeError(f"A response has status {status}."))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_exception(exc or RuntimeError("The server closed a connection."))

    @property
    def is_idle(self) -> bool:
        return time.perf_counter() - self._used_at > IDLE_SECONDS

    async def send(self, request: bytes) -> None:
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._response
        self._used_at = time.perf_counter()

    def close(self) -> None:
        self._transport.close()


async def _open(server: Server) -> _Connection:
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(_Connection, "127.0.0.1", server.port))[1]


class Requests:
    """An endless iterator over encoded requests to one server, with the queries in rotation."""

    def __init__(self, server: Server, queries: Sequence[Query]) -> None:
        self._bodies = [
            cycle([_encode(server, query, body) for body in query.bodies(server.name)]) for query in queries
        ]
        self._next_bodies = cycle(self._bodies)

    def __next__(self) -> bytes:
        request = next(next(self._next_bodies))
        # All numbers have the same length, so Content-Length stays correct.
        return request.replace(COUNT.encode(), b"%09d" % next(_numbers)) if b"@" in request else request


def _encode(server: Server, query: Query, body: object) -> bytes:
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


def send_for_seconds(server: Server, query: Query, *, connections: int, seconds: float) -> float:
    """Send requests one after another on each connection, as wrk does. Returns the answers per second."""

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
    """Send this number of requests over the connections, each as soon as the one before is answered."""

    async def send() -> None:
        requests, left = Requests(server, queries), iter(range(number))

        async def keep_sending(connection: _Connection) -> None:
            for _ in left:
                await connection.send(next(requests))

        async with _connections(server, connections) as opened:
            await asyncio.gather(*map(keep_sending, opened))

    uvloop.run(send())


def latencies_at_rate(server: Server, query: Query, *, per_second: float, seconds: float) -> list[float]:
    """The latencies in milliseconds, ascending, of requests that arrive at random times at this rate."""

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
                # Timers have a resolution of a millisecond: requests that are due within one arrive together.
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
