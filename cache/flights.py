"""One computation of an answer at a time; whoever asks for it meanwhile waits for that one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cache.changes import Change, Tag

Result = TypeVar("Result")


@dataclass(eq=False)
class _Flight(Generic[Result]):
    tags: frozenset[Tag]
    landing: asyncio.Future[Result] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Flights(Generic[Result]):
    def __init__(self) -> None:
        self._flights: dict[str, _Flight[Result]] = {}

    async def join(self, key: str, tags: frozenset[Tag], compute: Callable[[], Awaitable[Result]]) -> Result:
        """The result of the flight of this key that is under way, or of a new one."""
        while (flight := self._flights.get(key)) is not None:
            # Whoever waits may leave; the flight goes on.
            await asyncio.wait({flight.landing})
            if not flight.landing.cancelled():
                return flight.landing.result()
            # Who flew it has left: somebody else does.
        return await self._fly(key, _Flight(tags), compute)

    async def _fly(self, key: str, flight: _Flight[Result], compute: Callable[[], Awaitable[Result]]) -> Result:
        self._flights[key] = flight
        try:
            result = await compute()
        except BaseException:
            flight.landing.cancel()
            raise
        else:
            flight.landing.set_result(result)
            return result
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def leave_touched(self, change: Change) -> None:
        """Nobody joins any more what may have begun before the change."""
        for key, flight in list(self._flights.items()):
            if any(change.touches(tag) for tag in flight.tags):
                del self._flights[key]

    def leave_all(self) -> None:
        self._flights.clear()
