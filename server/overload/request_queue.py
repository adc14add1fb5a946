"""Requests that come while enough others are under way: they wait as the bytes that they came as.

Each that is under way has a hundred objects, which the garbage collector goes through again and again, and what is done
for thousands at a time finds nothing in the caches of the processor. Where this process is what they would wait for,
all are answered sooner in batches. Where it is not, they are let in at once: others know better what they wait for.
"""

import time
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Collection
from contextvars import copy_context
from math import ceil
from typing import Any, Protocol

# Where the state that connections see holds it.
REQUEST_QUEUE = "lobby"
# Where a scope holds since when its request has waited, as time.perf_counter() tells, and that it is one too many.
RECEIVED_AT, REJECTED = "candlegraph.received_at", "candlegraph.turned_away"
# So many may be under way, and more where there are many connections to the database.
UNDER_WAY, UNDER_WAY_BY_CONNECTION = 64, 4
# Where more are, so many come in for one that leaves: some may stay for long, and keep nobody out.
SHRINKING = 0.75
# What a batch counts for, beside all before it, in the mean of how soon one comes after the other.
NEWEST_SHARE = 0.2
LOOK_SECONDS = 0.005
# A process that uses the processor for less than this share of the time is not what they wait for.
BUSY_SHARE = 0.7


class HeldConnection(Protocol):
    """A connection. tasks: of all requests that are under way, whosever."""

    loop: AbstractEventLoop

    @property
    def tasks(self) -> Collection[Any]: ...

    def resume(self, received_at: float, /) -> bool:
        """Begin with what was sent. Returns whether anybody is still there."""


class RequestQueue:
    def __init__(self, path: str, connections: int, longest_wait_seconds: float) -> None:
        """path: of those that may have to wait, and that others wait for. connections: to the database.

        longest_wait_seconds: whoever would wait longer is turned away.
        """
        self.path = path
        self._what = f"POST {path}".encode(), f"GET {path}".encode()
        # So many may be under way before anybody has to wait.
        self.room = max(UNDER_WAY, UNDER_WAY_BY_CONNECTION * connections)
        # When so many have left, others are let in: one by one, they would be slower.
        self._batch = self.room // 2
        self._longest_wait_seconds = longest_wait_seconds
        # Since when, too.
        self.waiting: deque[tuple[HeldConnection, float]] = deque()
        self._is_looking = self._is_opening = False
        # Nobody knows before the first look.
        self._is_busy = True
        # How many have left while others waited, and with how many the next are let in.
        self._left = self._opens_at = 0
        self._opened_at = self._mean_seconds = 0.0
        # Whoever is let in inherits nothing from the one who left.
        self._context = copy_context()

    @property
    def is_late(self) -> bool:
        """Whether whoever comes now would wait for too long: as the others move, or as the first has waited already."""
        if not self.waiting:
            return False
        waited = time.perf_counter() - self.waiting[0][1]
        expected = len(self.waiting) / self._batch * self._mean_seconds
        return max(waited, expected) > self._longest_wait_seconds

    def must_wait(self, data: bytes) -> bool:
        """Where there is no room, or others wait."""
        return self._is_busy and data.startswith(self._what)

    def hold(self, connection: HeldConnection) -> None:
        now = time.perf_counter()
        if not self.waiting:
            self._opens_at, self._opened_at = self._left + self._batch, now
        self.waiting.append((connection, now))
        if not self._is_looking:
            self._look_later(connection)

    def left(self, connection: HeldConnection) -> None:
        """A request has been answered."""
        self._left += 1
        if self._left >= self._opens_at and not self._is_opening:
            self._is_opening = True
            connection.loop.call_soon(self._open, connection, context=self._context)

    def empty(self) -> None:
        """Let everybody in."""
        self._let_in(len(self.waiting))

    def _let_in(self, number: int) -> None:
        while number > 0 and self.waiting:
            connection, received_at = self.waiting.popleft()
            number -= connection.resume(received_at)

    def _open(self, connection: HeldConnection) -> None:
        self._is_opening = False
        if not self.waiting:
            return
        now = time.perf_counter()
        self._mean_seconds += (now - self._opened_at - self._mean_seconds) * NEWEST_SHARE
        self._let_in(max(self.room - len(connection.tasks), ceil(self._batch * SHRINKING)))
        self._opens_at, self._opened_at = self._left + self._batch, now

    def _look_later(self, connection: HeldConnection) -> None:
        self._is_looking = True
        began = time.perf_counter(), time.thread_time(), self._left
        connection.loop.call_later(LOOK_SECONDS, self._look, connection, *began, context=self._context)

    def _look(self, connection: HeldConnection, began_at: float, spent_before: float, left_before: int) -> None:
        took, spent = time.perf_counter() - began_at, time.thread_time() - spent_before
        self._is_looking, self._is_busy = False, spent >= BUSY_SHARE * took
        if not self._is_busy or self._left == left_before:
            self._open(connection)
        if self.waiting or len(connection.tasks) >= self.room:
            self._look_later(connection)
        else:
            self._is_busy = True
