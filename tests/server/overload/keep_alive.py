"""HTTP/1.1 clients that reuse their connection for one request after another, until the server closes it."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson


class Broken(Exception):
    """A request was sent on an open connection, and the response is missing or incomplete."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def ends_connection(self) -> bool:
        return self.headers.get(b"connection") == b"close"


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def opened(cls, address: str) -> "Connection":
        url = urlsplit(address)
        return cls(*await asyncio.open_connection(url.hostname, url.port))

    async def ask(self, query: str) -> Answer:
        body = orjson.dumps({"query": query})
        head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        return await self._send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def get(self, path: str) -> Answer:
        return await self._send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    async def _send(self, request: bytes) -> Answer:
        """Raises Broken."""
        try:
            self._writer.write(request)
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head.strip().split(b"\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
            body = await self._reader.readexactly(int(headers[b"content-length"]))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Broken from error
        return Answer(int(first.split()[1]), headers, body)

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


async def asked(address: str, query: str) -> Answer:
    """The answer, on a connection of its own. Raises Broken."""
    connection = await Connection.opened(address)
    try:
        return await connection.ask(query)
    finally:
        await connection.close()


@dataclass
class Hammering:
    """Clients that send requests without a pause, and counts of their responses."""

    address: str
    answers: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    # Connections that were closed after a response with Connection: close.
    ended: int = 0
    is_over: bool = False

    async def client(self, query: str) -> None:
        """Send requests until the server no longer listens."""
        while not self.is_over:
            try:
                connection = await Connection.opened(self.address)
            except OSError:
                return
            with suppress(Broken):
                await self._use(connection, query)
            await connection.close()

    async def _use(self, connection: Connection, query: str) -> None:
        is_first = True
        while not self.is_over:
            try:
                answer = await connection.ask(query)
            except Broken:
                # The server may not have accepted a new connection yet.
                self.broken += not is_first
                raise
            is_first = False
            assert b'"errors"' not in answer.body, answer.body
            self.answers[answer.status] += 1
            if answer.ends_connection:
                self.ended += 1
                return
