"""One computation of an answer at a time; whoever asks for it meanwhile waits for that one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cache.changes import Change, Tag

Result = TypeVar("Result")


@dataclass(eq=False)
class _Call(Generic[Result]):
    tags: frozenset[Tag]
    result: asyncio.Future[Result] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SingleFlight(Generic[Result]):
    def __init__(self) -> None:
        self._calls: dict[str, _Call[Result]] = {}

    async def run(self, key: str, tags: frozenset[Tag], compute: Callable[[], Awaitable[Result]]) -> Result:
        """The result of the call of this key that is under way, or of a new one."""
        while (call := self._calls.get(key)) is not None:
            # Whoever waits may leave; the call goes on.
            await asyncio.wait({call.result})
            if not call.result.cancelled():
                return call.result.result()
            # Who flew it has left: somebody else does.
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

    def detach_affected(self, change: Change) -> None:
        """Nobody joins any more what may have begun before the change."""
        for key, call in list(self._calls.items()):
            if any(change.touches(tag) for tag in call.tags):
                del self._calls[key]

    def detach_all(self) -> None:
        self._calls.clear()
