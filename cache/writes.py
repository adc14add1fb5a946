"""Writes to Redis: a bounded queue that no caller waits for."""

import asyncio

from redis.exceptions import RedisError

from cache.link import CacheUnavailable, Command, Link

MAX_QUEUED = 200
# Approximate bytes of one batch, of writes or of reads: a larger one takes so long that Redis would count as slow.
MAX_BATCH_BYTES = 2**20


class Writes:
    """A queue of commands. One connection sends all of them, so that readers have the others."""

    def __init__(self, link: Link) -> None:
        self.dropped = 0
        self._link = link
        self._queue: list[Command] = []
        self._is_sending = False
        self._last: asyncio.Task[None] | None = None

    def add(self, *command: str | bytes | int) -> None:
        """Send this soon, or drop it: if Redis is unavailable, the queue is full, or the command is too large."""
        if not self._link.usable or len(self._queue) >= MAX_QUEUED or _size(command) > MAX_BATCH_BYTES:
            self.dropped += 1
            return
        self._queue.append(command)
        if not self._is_sending:
            self._is_sending = True
            self._last = self._link.start(self._send_all())

    async def flush(self) -> None:
        """Wait until everything added has been sent, or dropped."""
        if self._last is not None:
            await asyncio.wait({self._last})

    async def _send_all(self) -> None:
        try:
            while self._queue:
                batch = _first_batch(self._queue)
                await self._send(batch)
                del self._queue[: len(batch)]
        finally:
            self._is_sending = False

    async def _send(self, commands: list[Command]) -> None:
        try:
            replies = await self._link.call_all(commands)
        except CacheUnavailable:
            self.dropped += len(commands)
            return
        # Redis is full or read-only: reads still work, so this is no failure of Redis.
        errors = [reply for reply in replies if isinstance(reply, RedisError)]
        if errors:
            self.dropped += len(errors)
            self._link.log("redis_rejects_writes", error=type(errors[0]).__name__)


def _first_batch(commands: list[Command]) -> list[Command]:
    size = 0
    for number, command in enumerate(commands):
        size += _size(command)
        if size > MAX_BATCH_BYTES and number > 0:
            return commands[:number]
    return commands[:]


def _size(command: Command) -> int:
    return sum(len(part) for part in command if isinstance(part, bytes))
