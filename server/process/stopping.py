"""A server that stops without losing a request: what was sent is answered, and clients are told to go elsewhere.

    SIGTERM     it is not ready, and each answer ends its connection, for SHUTDOWN_DELAY_SECONDS: balancers notice
    then        it listens no more; who is connected may send one more request, LINGER_SECONDS long
    then        what is idle is closed, what is under way is finished, and the process ends

Ctrl-C waits for nobody who is idle; a second one waits for nobody at all.
"""

import asyncio
import signal
import socket
import time
from types import FrameType
from typing import Any

import uvicorn

from server.overload.draining import STATE, Draining

# Clients that keep a connection busy send their next request within this time, and are told with its answer.
LINGER_SECONDS = 0.5
LOOK_SECONDS = 0.02
CLOSE = (b"connection", b"close")


class ServingConfig(uvicorn.Config):
    """shutdown_delay_seconds: how long the server goes on as before when it is told to stop."""

    def __init__(self, *args: Any, shutdown_delay_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shutdown_delay_seconds = shutdown_delay_seconds


class DrainingServer(uvicorn.Server):
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
        for one in sockets or []:
            one.close()
        await self._drain(LINGER_SECONDS, while_connected=True)
        await super().shutdown(sockets)

    async def _drain(self, seconds: float, *, while_connected: bool = False) -> None:
        end = time.monotonic() + seconds
        while not self._is_interrupted and (self.server_state.connections or not while_connected):
            await self._say_goodbye()
            left = end - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, LOOK_SECONDS))

    async def _say_goodbye(self) -> None:
        """Every answer that begins from now on ends its connection, and says so."""
        # Answers have a date.
        await self.on_tick(0)
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False
