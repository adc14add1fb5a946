"""What is on its way into Redis, in bounded number, while nobody waits for it."""

import asyncio

from redis.exceptions import RedisError

from cache.link import CacheUnavailable, Command, Link

MOST_WRITES = 200
# What goes out at once, about: more takes so long that Redis would seem slow.
MOST_BYTES = 2**20


class Writes:
    """A queue of commands. One connection does all the writing, so that readers have the others."""

    def __init__(self, link: Link) -> None:
        self.dropped = 0
        self._link = link
        self._queue: list[Command] = []
        self._writing = False
        self._last: asyncio.Task[None] | None = None

    def add(self, *command: str | bytes | int) -> None:
        """Write this soon, or drop it: where Redis is unwell, where too much waits, and what is too large."""
        if not self._link.usable or len(self._queue) >= MOST_WRITES or _size(command) > MOST_BYTES:
            self.dropped += 1
            return
        self._queue.append(command)
        if not self._writing:
            self._writing = True
            self._last = self._link.start(self._write_all())

    async def done(self) -> None:
        """Wait until all that was added has arrived, or was dropped."""
        if self._last is not None:
            await asyncio.wait({self._last})

    async def _write_all(self) -> None:
        try:
            while self._queue:
                first = _as_many_as_fit(self._queue)
                await self._write(first)
                del self._queue[: len(first)]
        finally:
            self._writing = False

    async def _write(self, commands: list[Command]) -> None:
        try:
            answers = await self._link.call_all(commands)
        except CacheUnavailable:
            self.dropped += len(commands)
            return
        # Redis is full, or may only be read from: for readers it is well.
        refusals = [answer for answer in answers if isinstance(answer, RedisError)]
        if refusals:
            self.dropped += len(refusals)
            self._link.log("redis_refuses_writes", error=type(refusals[0]).__name__)


def _as_many_as_fit(commands: list[Command]) -> list[Command]:
    size = 0
    for number, command in enumerate(commands):
        size += _size(command)
        if size > MOST_BYTES and number > 0:
            return commands[:number]
    return commands[:]


def _size(command: Command) -> int:
    return sum(len(part) for part in command if isinstance(part, bytes))
