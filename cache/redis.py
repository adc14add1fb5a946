"""The shared tier: Redis, when there is one. One that is missing, slow, full or down is as good as an empty one."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from cache.breaker import State
from cache.link import CacheUnavailable, Link, client
from cache.writes import Writes

# Those who look, count and tidy up have time.
UNHURRIED_SECONDS = 2.0
UNHURRIED_CONNECTIONS = 4

# What is read at once, the bytes as far as they can be foreseen: more takes so long that Redis would seem slow.
MOST_KEYS = 100
MOST_BYTES = 2**20
KEYS_PER_SCAN = 500

# Only for the owner of a claim: somebody else may have it by now.
RELEASE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1])"


def check_url(url: str) -> None:
    """Raises ValueError where this is not the URL of a Redis, without connecting to it."""
    try:
        ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError):
        raise ValueError("it is not a URL like redis://host:6379/0") from None


@dataclass(frozen=True)
class CacheProbe:
    """What one look at the cache found. message is None when all is well."""

    backend: str
    message: str | None = None
    latency_ms: float | None = None
    used_memory_mb: float | None = None
    # 0: it may use all there is.
    max_memory_mb: float | None = None
    connected_clients: int | None = None
    uptime_seconds: int | None = None

    @property
    def alive(self) -> bool:
        return self.message is None


@dataclass(frozen=True)
class SharedCacheStats:
    hits: int
    misses: int
    # Not asked for, because Redis was known to be unwell.
    skipped: int
    # Calls that failed, and those of them that took too long.
    failures: int
    timeouts: int
    dropped_writes: int
    # How often Redis was given up for a while.
    times_opened: int


class SharedCache:
    """Bytes by key. Nobody waits longer than the timeout, and a Redis that is unwell is the same as an empty one.

    Each call to Redis is a task of its own: a caller that is cancelled leaves no unread answer behind.
    """

    backend = "memory+redis"

    def __init__(self, url: str, *, max_connections: int = 50, timeout_seconds: float = 0.05) -> None:
        self._link = Link(url, max_connections=max_connections, timeout_seconds=timeout_seconds)
        self._unhurried = client(url, max_connections=UNHURRIED_CONNECTIONS, timeout_seconds=UNHURRIED_SECONDS)
        self._unhurried_places = asyncio.Semaphore(UNHURRIED_CONNECTIONS)
        self._asked: dict[str, list[asyncio.Future[bytes | None]]] = {}
        self._usual_bytes = 1.0
        self._writes = Writes(self._link)
        self._tokens: dict[str, bytes] = {}
        self._hits = self._misses = self._skipped = 0

    @property
    def state(self) -> State:
        """open or half-open while Redis is unwell, and not asked."""
        return self._link.breaker.state

    @property
    def stats(self) -> SharedCacheStats:
        return SharedCacheStats(
            hits=self._hits,
            misses=self._misses,
            skipped=self._skipped,
            failures=self._link.failures,
            timeouts=self._link.timeouts,
            dropped_writes=self._writes.dropped,
            times_opened=self._link.breaker.times_opened,
        )

    async def get(self, key: str) -> bytes | None:
        """The value; None where there is none, or Redis is unwell."""
        if not self._link.usable:
            self._skipped += 1
            return None
        loop = asyncio.get_running_loop()
        # All that is asked for in one turn of the loop goes out at once, and each key but once.
        if not self._asked:
            loop.call_soon(self._ask)
        waiting: asyncio.Future[bytes | None] = loop.create_future()
        self._asked.setdefault(key, []).append(waiting)
        return await waiting

    def put(self, key: str, value: bytes, ttl_seconds: float) -> None:
        """Keep the value for so long, from soon on. Where Redis is unwell or has much to write, it is dropped."""
        self._writes.add("SET", key, value, "PX", _milliseconds(ttl_seconds))

    async def claim(self, key: str, ttl_seconds: float) -> bool:
        """Whether this caller may go on: nobody has the key, or Redis is unwell and nobody can tell."""
        task = self._link.start(self._claim(key, ttl_seconds))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(lambda _: self.release(key))
            raise

    def release(self, key: str) -> None:
        """Give up a claim, soon. One that has run out, and is somebody else's by now, stays theirs."""
        if (token := self._tokens.pop(key, None)) is not None:
            self._writes.add("EVAL", RELEASE, 1, key, token)

    async def run(self, script: str, key: str, *arguments: str) -> Any:
        """What a script answers; None where Redis is unwell, or refuses it."""
        task = self._link.start(self._run(script, key, arguments))
        return await asyncio.shield(task)

    async def count(self, pattern: str) -> int:
        """About how many keys match: Redis may tell one twice. Raises CacheUnavailable."""
        return sum([len(keys) async for keys in self._scan(pattern)])

    async def delete_matching(self, pattern: str) -> int:
        """Delete the keys that match; return how many there were. Raises CacheUnavailable."""
        return sum([await self.unhurriedly("UNLINK", *keys) async for keys in self._scan(pattern)])

    async def unhurriedly(self, *command: str | bytes | int) -> Any:
        """What Redis answers, for those who have time. Raises CacheUnavailable."""
        try:
            async with self._unhurried_places:
                return await self._unhurried.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError):
            raise CacheUnavailable("Redis cannot be reached.") from None

    async def written(self) -> None:
        """Wait until all that is on its way to Redis has arrived, or was dropped."""
        await self._writes.done()

    async def probe(self, timeout_seconds: float = 1.0) -> CacheProbe:
        """Look at Redis without ever hanging on it."""
        return await _look(self._info(), self.backend, timeout_seconds)

    async def close(self) -> None:
        """Those who wait get nothing, and what is not written yet is lost."""
        await self._link.close()
        await self._unhurried.aclose()

    def _ask(self) -> None:
        asked, self._asked = list(self._asked.items()), {}
        at_once = max(1, min(MOST_KEYS, int(MOST_BYTES / self._usual_bytes)))
        for first in range(0, len(asked), at_once):
            self._link.start(self._read(dict(asked[first : first + at_once])))

    async def _read(self, asked: dict[str, list[asyncio.Future[bytes | None]]]) -> None:
        values: list[bytes | None] = [None] * len(asked)
        try:
            with suppress(CacheUnavailable):
                values = await self._link.call("MGET", *asked)
        finally:
            for callers, value in zip(asked.values(), values, strict=True):
                self._tell(callers, value)

    def _tell(self, callers: list[asyncio.Future[bytes | None]], value: bytes | None) -> None:
        if value is None:
            self._misses += len(callers)
        else:
            self._hits += len(callers)
            self._usual_bytes += (len(value) - self._usual_bytes) / 16
        for caller in callers:
            if not caller.done():
                caller.set_result(value)

    async def _run(self, script: str, key: str, arguments: tuple[str, ...]) -> Any:
        try:
            [answer] = await self._link.call_all([("EVAL", script, 1, key, *arguments)])
        except CacheUnavailable:
            return None
        return None if isinstance(answer, RedisError) else answer

    async def _claim(self, key: str, ttl_seconds: float) -> bool:
        token = secrets.token_bytes(12)
        command = ("SET", key, token, "NX", "PX", _milliseconds(ttl_seconds))
        try:
            [answer] = await self._link.call_all([command])
        except CacheUnavailable:
            return True
        if answer is True:
            self._tokens[key] = token
        # None is somebody else's; a refusal is nobody's.
        return answer is not None

    async def _scan(self, pattern: str) -> AsyncIterator[list[bytes]]:
        cursor = b"0"
        while True:
            cursor, keys = await self.unhurriedly("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_PER_SCAN)
            if keys:
                yield keys
            if int(cursor) == 0:
                return

    async def _info(self) -> dict[str, Any]:
        async with self._unhurried_places:
            return await self._unhurried.info()


def _milliseconds(seconds: float) -> int:
    # Redis refuses 0.
    return max(1, round(seconds * 1000))


async def _look(info: Awaitable[dict[str, Any]], backend: str, timeout_seconds: float) -> CacheProbe:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_seconds):
            figures = await info
    except TimeoutError:
        return CacheProbe(backend, f"No answer within {timeout_seconds:g} s.")
    except (RedisError, OSError):
        return CacheProbe(backend, "Redis cannot be reached.")
    return CacheProbe(
        backend,
        latency_ms=round((time.perf_counter() - started) * 1000, 3),
        used_memory_mb=round(figures["used_memory"] / 2**20, 3),
        max_memory_mb=round(figures.get("maxmemory", 0) / 2**20, 3),
        connected_clients=figures["connected_clients"],
        uptime_seconds=figures["uptime_in_seconds"],
    )
