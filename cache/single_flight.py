"""One computation of an answer at a time: requests for the same key meanwhile wait for its result."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cache.change_feed import FeedSubscriber
from cache.changes import Change, Tag

Result = TypeVar("Result")


@dataclass(eq=False)
class _Call(Generic[Result]):
    tags: frozenset[Tag]
    result: asyncio.Future[Result] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SingleFlight(FeedSubscriber, Generic[Result]):
    """The first caller of a key is the leader and computes; later callers are followers.

    A change detaches the calls that it affects: they go on, but no new follower joins them.
    """

    def __init__(self) -> None:
        self._calls: dict[str, _Call[Result]] = {}

    async def run(self, key: str, tags: frozenset[Tag], compute: Callable[[], Awaitable[Result]]) -> Result:
        """The result of the running call of this key, or of a new one."""
        while (call := self._calls.get(key)) is not None:
            # A follower may be cancelled; the call goes on.
            await asyncio.wait({call.result})
            if not call.result.cancelled():
                return call.result.result()
            # The leader failed or was cancelled: one of its followers takes over.
        return await self._lead(key, _Call(tags), compute)

    async def _lead(self, key: str, call: _Call[Result], compute: Callable[[], Awaitable[Result]]) -> Result:
        self._calls[key] = call
        try:
            result = await compute()
        except BaseException:
            call.result.cancel()
            raise
        else:
            call.result.set_result(result)
            return result
        finally:
            if self._calls.get(key) is call:
                del self._calls[key]

    def on_change(self, change: Change) -> None:
        for key, call in list(self._calls.items()):
            if any(change.affects(tag) for tag in call.tags):
                del self._calls[key]

    def on_disconnect(self) -> None:
        self._calls.clear()

    def on_new_home(self) -> None:
        self._calls.clear()
