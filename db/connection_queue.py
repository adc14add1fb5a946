"""A FIFO queue for the pool's connections, with an estimate of the delay.

The pool's own queue lets latecomers overtake, and some wait until they time out.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from db.errors import Overloaded

# What a turn that ends counts for, beside all before it, in the mean of how long turns last.
NEWEST_SHARE = 0.05
# A queue that is younger is a burst: what turns lasted before it says little about it.
BURST_SECONDS = 0.1
# Who has waited for too long is told so at the next look: a timer for each would cost more than the wait itself.
LOOK_SECONDS = 0.02


class ConnectionQueue:
    """So many at a time; the others wait in the order in which they came."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._free = number
        # When each began to wait, and until when it does; those who came first are first.
        self._waiting: OrderedDict[asyncio.Future[None], tuple[float, float]] = OrderedDict()
        self._is_looking = False
        self._crowded_since = 0.0
        self._mean_seconds = 0.0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def expected_wait_seconds(self) -> float:
        """How long whoever comes now would wait: as the queue moves, but no less than its head has waited already.

        How long turns last includes what keeps this process from ending them, so it tells of a busy processor too.
        """
        if not self._waiting:
            return 0.0
        now = time.monotonic()
        waited = now - next(iter(self._waiting.values()))[0]
        if now - self._crowded_since < BURST_SECONDS:
            return waited
        return max(waited, len(self._waiting) / self._number * self._mean_seconds)

    def acquire_nowait(self) -> bool:
        if not self._free:
            return False
        self._free -= 1
        return True

    async def acquire(self, timeout_seconds: float, *, first: bool = False) -> None:
        """Wait for a turn. first: before all others who wait. Raises Overloaded."""
        if self.acquire_nowait():
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        now = time.monotonic()
        if not self._waiting:
            self._crowded_since = now
        self._waiting[turn] = now, now + timeout_seconds
        if first:
            self._waiting.move_to_end(turn, last=False)
        if not self._is_looking:
            self._is_looking = True
            loop.call_later(LOOK_SECONDS, self._look, loop)
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.pop(turn, None)
            # It may have come just now.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_on()
            raise

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send those away who have waited for too long."""
        now = time.monotonic()
        for turn in [turn for turn, (_, until) in self._waiting.items() if until <= now]:
            del self._waiting[turn]
            if not turn.done():
                turn.set_exception(Overloaded("Every connection to the database is busy: try again later."))
        self._is_looking = bool(self._waiting)
        if self._is_looking:
            loop.call_later(LOOK_SECONDS, self._look, loop)

    def release(self, held_seconds: float) -> None:
        self._mean_seconds += (held_seconds - self._mean_seconds) * NEWEST_SHARE
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    @asynccontextmanager
    async def slot(self, timeout_seconds: float, *, first: bool = False) -> AsyncIterator[None]:
        """A turn until the end of the block. Raises Overloaded."""
        await self.acquire(timeout_seconds, first=first)
        started = time.monotonic()
        try:
            yield
        finally:
            self.release(time.monotonic() - started)
