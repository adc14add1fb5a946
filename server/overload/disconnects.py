"""Clients that wait, until their time is over or they leave: what is done for them ends too."""

import asyncio
from types import TracebackType

from starlette.types import Receive

from db.deadlines import reset_deadline, set_deadline

# What is answered sooner than this is not worth watching over; nothing goes unwatched for twice as long.
LOOK_SECONDS = 0.05


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Watch:
    """Looks now and then which requests last. A timer for each of them would cost more than all else that it does."""

    def __init__(self) -> None:
        # At which look each was first there to be seen, in the order in which they came.
        self.unwatched: dict[WhileAwaited, int] = {}
        self.looks = 0
        self._is_looking = False

    def begin(self, request: "WhileAwaited") -> None:
        self.unwatched[request] = self.looks + 1
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self.looks += 1
        for request in [request for request, seen_at in self.unwatched.items() if seen_at < self.looks]:
            del self.unwatched[request]
            request.watch()
        self._is_looking = bool(self.unwatched)
        if self._is_looking:
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)


class WhileAwaited:
    """What is done within the block is cancelled when the client leaves, and ClientGone is raised at its end.

    Its statements have until ends_at, as time.perf_counter() tells. The body of the request must have been read: the
    server tells in the same way that the client has left. One object for both: it is on the way of every request.
    """

    __slots__ = ("_ends_at", "_is_gone", "_receive", "_task", "_token", "_watch", "_watching")

    def __init__(self, watch: Watch, receive: Receive, ends_at: float) -> None:
        self._watch = watch
        self._receive = receive
        self._ends_at = ends_at

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        self._watch.begin(self)
        self._token = set_deadline(self._ends_at)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        reset_deadline(self._token)
        if self._watching is None:
            del self._watch.unwatched[self]
            return
        self._watching.cancel()
        if self._is_gone and self._task and self._task.uncancel() == 0 and isinstance(error, asyncio.CancelledError):
            raise ClientGone from None

    def watch(self) -> None:
        self._is_gone = False
        self._watching = asyncio.create_task(self._await_end())

    async def _await_end(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        if self._task is not None:
            self._task.cancel()
