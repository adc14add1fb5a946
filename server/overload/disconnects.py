"""Cancels the work for a request when its client disconnects, and gives its statements a deadline."""

import asyncio
from contextvars import Context
from types import TracebackType

from starlette.types import Receive

from db.deadlines import reset_deadline, set_deadline

# A request that ends sooner is not worth watching; none goes unwatched for twice as long.
TICK_SECONDS = 0.05


class ClientDisconnected(Exception):
    """The client has closed the connection before its response."""


class DisconnectMonitor:
    """Begins to watch the requests that last. A timer for each request would cost more than all else done here."""

    def __init__(self) -> None:
        # The first tick that each request sees, in the order of their arrival.
        self.unwatched: dict[CancelOnDisconnect, int] = {}
        self.ticks = 0
        self._is_ticking = False

    def begin(self, request: "CancelOnDisconnect") -> None:
        self.unwatched[request] = self.ticks + 1
        if not self._is_ticking:
            self._is_ticking = True
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick, context=Context())

    def _tick(self) -> None:
        self.ticks += 1
        for request in [request for request, first_tick in self.unwatched.items() if first_tick < self.ticks]:
            del self.unwatched[request]
            request.watch()
        self._is_ticking = bool(self.unwatched)
        if self._is_ticking:
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick, context=Context())


class CancelOnDisconnect:
    """The work within the block is cancelled if the client disconnects; the block then raises ClientDisconnected.

    Its statements have until ends_at, by time.perf_counter(). The body of the request must have been read: the server
    reports the disconnect through the same receive(). One object does both, as it runs for every request.
    """

    __slots__ = ("_ends_at", "_is_disconnected", "_monitor", "_receive", "_task", "_token", "_watching")

    def __init__(self, monitor: DisconnectMonitor, receive: Receive, ends_at: float) -> None:
        self._monitor = monitor
        self._receive = receive
        self._ends_at = ends_at

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        self._monitor.begin(self)
        self._token = set_deadline(self._ends_at)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        reset_deadline(self._token)
        if self._watching is None:
            del self._monitor.unwatched[self]
            return
        self._watching.cancel()
        was_cancelled = isinstance(error, asyncio.CancelledError)
        if self._is_disconnected and self._task and self._task.uncancel() == 0 and was_cancelled:
            raise ClientDisconnected from None

    def watch(self) -> None:
        self._is_disconnected = False
        self._watching = asyncio.create_task(self._await_disconnect())

    async def _await_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_disconnected = True
        if self._task is not None:
            self._task.cancel()
