"""Timeouts for calls to Redis that discount the lag of this process's event loop.

If the event loop is busy for 30 ms, a reply that arrives immediately is read 30 ms late. By the wall clock, Redis would
be slow whenever this process is busy, and the breaker would open just when the cache is needed most.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICK_SECONDS = 0.004
# However late a tick runs, it advances the clock by no more than this.
LONGEST_TICK_SECONDS = 0.005


class LoopTimeout:
    """A clock that ticks in the event loop while there are timeouts, and enforces them."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ticked_at = time.monotonic()
        self._is_ticking = False
        self._deadlines: dict[asyncio.Timeout, float] = {}

    def now(self) -> float:
        return self._now + min(time.monotonic() - self._ticked_at, LONGEST_TICK_SECONDS)

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError if the block takes longer, at the next tick."""
        async with asyncio.timeout(None) as timeout:
            if not self._is_ticking:
                self._tick()
            self._deadlines[timeout] = self.now() + seconds
            self._schedule_tick()
            try:
                yield
            finally:
                self._deadlines.pop(timeout, None)

    def expire_all(self) -> None:
        """Time out every block that is running."""
        for timeout in self._deadlines:
            timeout.reschedule(0)
        self._deadlines.clear()

    def _tick(self) -> None:
        self._is_ticking = False
        self._now, self._ticked_at = self.now(), time.monotonic()
        for timeout, deadline in list(self._deadlines.items()):
            if deadline <= self._now:
                del self._deadlines[timeout]
                timeout.reschedule(0)
        self._schedule_tick()

    def _schedule_tick(self) -> None:
        if self._deadlines and not self._is_ticking:
            self._is_ticking = True
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
