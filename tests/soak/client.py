"""A cheap HTTP client, so that the servers get most of the machine."""

import asyncio
import time
from collections import defaultdict
from typing import NamedTuple

import orjson

TIMEOUT_SECONDS = 10
# Servers close connections that were idle for five seconds.
IDLE_SECONDS = 2
# Errors of a connection, those of OSError included.
CONNECTION_ERRORS = (OSError, EOFError)


class Response(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def header(self, name: str) -> str:
        return self.headers.get(name.encode(), b"").decode()


class Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Client:
    """Keeps connections open, by port of loopback. None is reused after a failed request."""

    def __init__(self) -> None:
        self._idle = defaultdict[int, list[tuple[float, Connection]]](list)

    async def post(self, port: int, sent: object) -> Response:
        body = orjson.dumps(sent)
        head = f"POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return await self._ask(port, head.encode(), body)

    async def get(self, port: int, query: str) -> Response:
        return await self._ask(port, f"GET /graphql?{query} HTTP/1.1\r\n".encode())

    async def _ask(self, port: int, head: bytes, body: bytes = b"") -> Response:
        """Raises one of CONNECTION_ERRORS."""
        connection = await self._connection(port)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                connection.writer.write(head + b"Host: localhost\r\nAccept: application/json\r\n\r\n" + body)
                response = await _read(connection.reader)
        except BaseException:
            connection.writer.close()
            raise
        self._idle[port].append((time.monotonic(), connection))
        return response

    async def _connection(self, port: int) -> Connection:
        idle = self._idle[port]
        while idle:
            since, connection = idle.pop()
            if time.monotonic() - since < IDLE_SECONDS:
                return connection
            connection.writer.close()
        return Connection(*await asyncio.open_connection("127.0.0.1", port))

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        writers = [connection.writer for idle in self._idle.values() for _, connection in idle]
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Response:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
    body = await reader.readexactly(int(headers[b"content-length"]))
    return Response(int(status.split()[1]), headers, body)
