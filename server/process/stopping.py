"""A graceful shutdown: every request that was sent gets its response, and connections end with a response.

    SIGTERM     for SHUTDOWN_DELAY_SECONDS, /readyz responds 503 and each response closes its connection, so that load
                balancers stop sending requests
    then        the sockets are closed; open connections may send one more request within LINGER_SECONDS
    then        idle connections are closed, requests in progress are finished, and the process ends

Ctrl-C skips the first two steps; a second one also cancels the requests in progress.
"""

import asyncio
import signal
import socket
import time
from types import FrameType
from typing import Any

import uvicorn

from server.overload.draining import STATE, Draining

# Clients that keep a connection busy send their next request within this time; its response closes the connection.
LINGER_SECONDS = 0.5
POLL_SECONDS = 0.02
CLOSE = (b"connection", b"close")


class ServingConfig(uvicorn.Config):
    """shutdown_delay_seconds: how long the server still accepts connections after SIGTERM."""

    def __init__(self, *args: Any, shutdown_delay_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shutdown_delay_seconds = shutdown_delay_seconds


class DrainingServer(uvicorn.Server):
    """A server that drains its connections before it stops."""

    def __init__(self, config: ServingConfig) -> None:
        super().__init__(config)
        self._delay_seconds = config.shutdown_delay_seconds
        self._draining = Draining()
        self._is_interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state[STATE] = self._draining
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._draining.has_begun = True
        self._is_interrupted |= sig == signal.SIGINT

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._drain(self._delay_seconds)
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        await self._drain(LINGER_SECONDS, while_connected=True)
        await super().shutdown(sockets)

    async def _drain(self, seconds: float, *, while_connected: bool = False) -> None:
        end = time.monotonic() + seconds
        while not self._is_interrupted and (self.server_state.connections or not while_connected):
            await self._close_after_responses()
            left = end - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, POLL_SECONDS))

    async def _close_after_responses(self) -> None:
        """Every response that begins from now on has `Connection: close`, and its connection is closed."""
        # Resets the headers, and sets the current date among them.
        await self.on_tick(0)
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False
