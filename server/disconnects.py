"""Clients that leave: what is done for one of them ends."""

import asyncio
from types import TracebackType

from starlette.types import Receive

# What is answered sooner is not worth watching over.
WATCHED_AFTER_SECONDS = 0.05


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class WhileConnected:
    """What is done within the block is cancelled when the client leaves, and ClientGone is raised at its end.

    The body of the request must have been read: the server tells in the same way that the client has left.
    """

    __slots__ = ("_is_gone", "_receive", "_task", "_timer", "_watching")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_gone = False
        self._watching: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(WATCHED_AFTER_SECONDS, self._begin)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
        if self._is_gone and self._task.uncancel() == 0 and isinstance(error, asyncio.CancelledError):
            raise ClientGone from None

    def _begin(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._task.cancel()
