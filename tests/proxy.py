"""A TCP proxy on loopback that simulates network faults. It runs in a separate thread."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from itertools import chain
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

Result = TypeVar("Result")
Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """A proxy for the Redis at this URL: redis://host:port or unix:///path. Its modes:

    forward   forward all bytes, each chunk after delay_seconds
    hang      accept connections and bytes, and forward nothing
    refuse    the port is closed, so that connections are refused
    """

    def __init__(self, target: str) -> None:
        self.delay_seconds = 0.0
        self.accepted = 0
        self._target = urlsplit(target)
        self._port = 0
        self._mode: Literal["forward", "hang", "refuse"] = "forward"
        self._serving: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def connections(self) -> int:
        """Number of open client connections."""
        return len(self._serving)

    def start(self) -> None:
        self._thread.start()
        self.restore()

    def stop(self) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> "Proxy":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def restore(self) -> None:
        """Forward again. Bytes that arrived while it hung are lost, so connections of that time are reset."""
        if self._mode == "hang":
            self.cut()
        self._mode, self.delay_seconds = "forward", 0.0
        self._run(self._listen())

    def hang(self) -> None:
        """Discard all bytes from now on, and keep connections open."""
        self._mode = "hang"

    def delay(self, seconds: float) -> None:
        self.delay_seconds = seconds

    def cut(self) -> None:
        """Reset every open connection."""
        self._run(self._cut())

    def refuse(self) -> None:
        """Close the port, and reset every open connection."""
        self._mode = "refuse"
        self._run(self._close())

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=5)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            # Kept, so that `restore` reopens the same port.
            self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        serving = dict(self._serving)
        for writer in chain(*serving.values()):
            writer.transport.abort()
        await asyncio.gather(*serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = [writer]
        try:
            target_reader, target_writer = await self._connect()
            self._serving[task].append(target_writer)
            await asyncio.gather(self._pump(reader, target_writer), self._pump(target_reader, writer))
        except OSError:
            writer.transport.abort()
        finally:
            del self._serving[task]

    async def _connect(self) -> Pipe:
        if self._target.scheme == "unix":
            return await asyncio.open_unix_connection(self._target.path)
        return await asyncio.open_connection(self._target.hostname, self._target.port)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(2**16):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if self._mode == "forward":
                    writer.write(chunk)
                    await writer.drain()
        writer.close()
