"""Time as Redis sees it: what this process spends on itself is left out.

Where the event loop is busy for 30 ms, an answer that came at once is read 30 ms late. By the clock on the wall Redis
would be slow whenever we are, and its help would end just when there is most to do.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICK_SECONDS = 0.004
# However late a tick comes, no more than this has passed.
LONGEST_TICK_SECONDS = 0.005


class LoopTimeout:
    """A clock that ticks in the event loop, and the limits that it holds calls to. At rest, it does not tick."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ticked_at = time.monotonic()
        self._ticking = False
        self._limits: dict[asyncio.Timeout, float] = {}

    def now(self) -> float:
        return self._now + min(time.monotonic() - self._ticked_at, LONGEST_TICK_SECONDS)

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError where what is inside takes longer, to the next tick."""
        async with asyncio.timeout(None) as limit:
            if not self._ticking:
                self._tick()
            self._limits[limit] = self.now() + seconds
            self._tick_later()
            try:
                yield
            finally:
                self._limits.pop(limit, None)

    def end(self) -> None:
        """End all that is being waited for."""
        for limit in self._limits:
            limit.reschedule(0)
        self._limits.clear()

    def _tick(self) -> None:
        self._ticking = False
        self._now, self._ticked_at = self.now(), time.monotonic()
        for limit, end in list(self._limits.items()):
            if end <= self._now:
                del self._limits[limit]
                limit.reschedule(0)
        self._tick_later()

    def _tick_later(self) -> None:
        if self._limits and not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
