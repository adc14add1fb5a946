"""Requests that arrive while enough others are in progress: they wait as unparsed bytes.

Each request in progress has a hundred objects, which the garbage collector visits again and again, and work for
thousands of requests at a time finds nothing in the caches of the processor. If this process is the bottleneck, all
requests are answered sooner in batches. If it is not, they are released immediately: their order is decided elsewhere.
"""

import time
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Collection
from contextvars import copy_context
from math import ceil
from typing import Any, Protocol

# The key in the state of the lifespan, which connections see.
REQUEST_QUEUE = "request_queue"
# This many requests may be in progress, and more if there are many connections to the database.
MAX_IN_PROGRESS, MAX_IN_PROGRESS_BY_CONNECTION = 64, 4
# While more are in progress, this share of a batch is released for a batch of responses: long requests then do not
# keep the queue closed.
OVERFULL_SHARE = 0.75
# The weight of the newest batch in the moving average of the time between batches.
NEWEST_WEIGHT = 0.2
SAMPLE_SECONDS = 0.005
# A process that uses the processor for less than this share of the time is not the bottleneck.
BOTTLENECK_SHARE = 0.7


class HeldConnection(Protocol):
    """A connection whose request may wait. tasks: of all requests in progress, on any connection."""

    loop: AbstractEventLoop

    @property
    def tasks(self) -> Collection[Any]: ...

    def resume(self, received_at: float, /) -> bool:
        """Parse the bytes that were held back. Returns whether the connection is still open."""


class RequestQueue:
    """waiting: each connection with the time at which its request arrived, by time.perf_counter(); oldest first."""

    def __init__(self, path: str, connections: int, longest_wait_seconds: float) -> None:
        """path: only requests for it wait, and only they are counted. connections: to the database.

        longest_wait_seconds: a request that would wait longer is rejected.
        """
        self.path = path
        self._request_lines = f"POST {path}".encode(), f"GET {path}".encode()
        # No request waits before this many are in progress.
        self.max_in_progress = max(MAX_IN_PROGRESS, MAX_IN_PROGRESS_BY_CONNECTION * connections)
        # A batch is released after this many responses: one request per response would be slower.
        self._batch = self.max_in_progress // 2
        self._longest_wait_seconds = longest_wait_seconds
        self.waiting: deque[tuple[HeldConnection, float]] = deque()
        self._is_sampling = self._is_release_scheduled = False
        # Assumed until the first sample.
        self._is_bottleneck = True
        # Responses counted while requests waited, and the count at which the next batch is released.
        self._responses = self._release_at = 0
        self._released_at = self._mean_seconds = 0.0
        # A released request must not inherit the context of the one whose response released it.
        self._context = copy_context()

    @property
    def is_overdue(self) -> bool:
        """Whether a request that arrives now would wait for too long, by the pace of batches or the oldest wait."""
        if not self.waiting:
            return False
        waited = time.perf_counter() - self.waiting[0][1]
        expected = len(self.waiting) / self._batch * self._mean_seconds
        return max(waited, expected) > self._longest_wait_seconds

    def should_hold(self, data: bytes) -> bool:
        """Whether a request that begins with this data waits, given that the server is full or others wait."""
        return self._is_bottleneck and data.startswith(self._request_lines)

    def enqueue(self, connection: HeldConnection) -> None:
        now = time.perf_counter()
        if not self.waiting:
            self._release_at, self._released_at = self._responses + self._batch, now
        self.waiting.append((connection, now))
        if not self._is_sampling:
            self._sample_later(connection)

    def on_response(self, connection: HeldConnection) -> None:
        """Count a response, and release the next batch if it is time."""
        self._responses += 1
        if self._responses >= self._release_at and not self._is_release_scheduled:
            self._is_release_scheduled = True
            connection.loop.call_soon(self._release_batch, connection, context=self._context)

    def release_all(self) -> None:
        self._release(len(self.waiting))

    def _release(self, number: int) -> None:
        while number > 0 and self.waiting:
            connection, received_at = self.waiting.popleft()
            number -= connection.resume(received_at)

    def _release_batch(self, connection: HeldConnection) -> None:
        self._is_release_scheduled = False
        if not self.waiting:
            return
        now = time.perf_counter()
        self._mean_seconds += (now - self._released_at - self._mean_seconds) * NEWEST_WEIGHT
        self._release(max(self.max_in_progress - len(connection.tasks), ceil(self._batch * OVERFULL_SHARE)))
        self._release_at, self._released_at = self._responses + self._batch, now

    def _sample_later(self, connection: HeldConnection) -> None:
        self._is_sampling = True
        began = time.perf_counter(), time.thread_time(), self._responses
        connection.loop.call_later(SAMPLE_SECONDS, self._sample, connection, *began, context=self._context)

    def _sample(
        self, connection: HeldConnection, began_at: float, cpu_seconds_before: float, responses_before: int
    ) -> None:
        """Measure whether this process is the bottleneck. Release requests if it is not, or if no request ends."""
        took, spent = time.perf_counter() - began_at, time.thread_time() - cpu_seconds_before
        self._is_sampling, self._is_bottleneck = False, spent >= BOTTLENECK_SHARE * took
        if not self._is_bottleneck or self._responses == responses_before:
            self._release_batch(connection)
        if self.waiting or len(connection.tasks) >= self.max_in_progress:
            self._sample_later(connection)
        else:
            self._is_bottleneck = True
