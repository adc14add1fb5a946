"""A FIFO queue for the pool's connections, with an estimate of the delay.

SQLAlchemy's own pool queue is not FIFO: later requests can overtake, and some wait until they time out.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from db.errors import Overloaded

# The weight of the newest sample in the moving average of how long slots are held.
NEWEST_WEIGHT = 0.05
# A queue that formed less than this ago is a burst: earlier hold times say little about how fast it will move.
BURST_SECONDS = 0.1
# How often expired waiters are rejected. A timer for each waiter would cost more than the wait itself.
EXPIRY_CHECK_SECONDS = 0.02


class ConnectionQueue:
    """A fixed number of slots; requests beyond that wait in order of arrival."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        # The waiters in order, each with the times at which it began to wait and at which it expires.
        self._waiters: OrderedDict[asyncio.Future[None], tuple[float, float]] = OrderedDict()
        self._is_timer_set = False
        self._queue_began_at = 0.0
        self._mean_seconds = 0.0

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a slot."""
        return len(self._waiters)

    @property
    def expected_wait_seconds(self) -> float:
        """Estimated wait of a request that arrives now: queue length times hold time, at least the wait of the head.

        The hold time includes delays of this process in releasing slots, so the estimate also reflects a busy CPU.
        """
        if not self._waiters:
            return 0.0
        now = time.monotonic()
        waited = now - next(iter(self._waiters.values()))[0]
        if now - self._queue_began_at < BURST_SECONDS:
            return waited
        return max(waited, len(self._waiters) / self._size * self._mean_seconds)

    def acquire_nowait(self) -> bool:
        """Take a free slot; False if there is none."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def acquire(self, timeout_seconds: float, *, jump_queue: bool = False) -> None:
        """Wait for a slot. jump_queue: ahead of all other waiters. Raises Overloaded after the timeout."""
        if self.acquire_nowait():
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        now = time.monotonic()
        if not self._waiters:
            self._queue_began_at = now
        self._waiters[waiter] = now, now + timeout_seconds
        if jump_queue:
            self._waiters.move_to_end(waiter, last=False)
        if not self._is_timer_set:
            self._is_timer_set = True
            loop.call_later(EXPIRY_CHECK_SECONDS, self._reject_expired, loop)
        try:
            await waiter
        except asyncio.CancelledError:
            self._waiters.pop(waiter, None)
            # The slot may have been assigned just before the cancellation.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._hand_over_slot()
            raise

    def _reject_expired(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raise Overloaded in waiters whose timeout has passed."""
        now = time.monotonic()
        for waiter in [waiter for waiter, (_, until) in self._waiters.items() if until <= now]:
            del self._waiters[waiter]
            if not waiter.done():
                waiter.set_exception(Overloaded("Every connection to the database is busy: try again later."))
        self._is_timer_set = bool(self._waiters)
        if self._is_timer_set:
            loop.call_later(EXPIRY_CHECK_SECONDS, self._reject_expired, loop)

    def release(self, held_seconds: float) -> None:
        """Return a slot that was held for this long, and assign it to the first waiter."""
        self._mean_seconds += (held_seconds - self._mean_seconds) * NEWEST_WEIGHT
        self._hand_over_slot()

    def _hand_over_slot(self) -> None:
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    @asynccontextmanager
    async def slot(self, timeout_seconds: float, *, jump_queue: bool = False) -> AsyncIterator[None]:
        """Hold a slot until the end of the block. Raises Overloaded after the timeout."""
        await self.acquire(timeout_seconds, jump_queue=jump_queue)
        started = time.monotonic()
        try:
            yield
        finally:
            self.release(time.monotonic() - started)
