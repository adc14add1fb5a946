"""The shared tier: Redis, if configured. A Redis that is slow, full or down behaves like an empty one."""

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
from cache.writes import MAX_BATCH_BYTES, Writes

# The prefix of all keys in Redis; a new number whenever the meaning of stored values changes.
PREFIX = "candlegraph:1"

# For administrative commands, which may take longer: probes, counts, scans.
ADMIN_TIMEOUT_SECONDS = 2.0
ADMIN_CONNECTIONS = 4

# Of one MGET; its bytes, estimated from earlier values, are limited by MAX_BATCH_BYTES.
MAX_BATCH_KEYS = 100
KEYS_PER_SCAN = 500

# Deletes a claim only if this process still owns it: it may have expired, and belong to another process.
RELEASE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1])"


def check_url(url: str) -> None:
    """Raises ValueError if this is not the URL of a Redis, without connecting to it."""
    try:
        ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError):
        raise ValueError("it is not a URL like redis://host:6379/0") from None


@dataclass(frozen=True)
class CacheProbe:
    """The result of probing the cache once. message: the problem; None if there is none."""

    backend: str
    message: str | None = None
    latency_ms: float | None = None
    used_memory_mb: float | None = None
    # 0: unlimited.
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
    # Reads not sent, because the breaker was open.
    skipped: int
    # Calls that failed, and those of them that timed out.
    failures: int
    timeouts: int
    dropped_writes: int
    # How often the breaker opened.
    times_opened: int


class SharedCache:
    """Bytes by key. No call waits longer than the timeout; while the breaker is open, Redis counts as empty.

    Each call to Redis is a task of its own: a caller that is cancelled leaves no unread reply on the connection.
    """

    backend = "memory+redis"

    def __init__(self, url: str, *, max_connections: int = 50, timeout_seconds: float = 0.05) -> None:
        self._link = Link(url, max_connections=max_connections, timeout_seconds=timeout_seconds)
        self._admin = client(url, max_connections=ADMIN_CONNECTIONS, timeout_seconds=ADMIN_TIMEOUT_SECONDS)
        self._admin_slots = asyncio.Semaphore(ADMIN_CONNECTIONS)
        self._pending: dict[str, list[asyncio.Future[bytes | None]]] = {}
        self._mean_bytes = 1.0
        self._writes = Writes(self._link)
        self._tokens: dict[str, bytes] = {}
        self._hits = self._misses = self._skipped = 0

    @property
    def state(self) -> State:
        """The state of the breaker: while it is not closed, no call is sent to Redis."""
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
        """The value; None if there is none, or Redis is unavailable."""
        if not self._link.usable:
            self._skipped += 1
            return None
        loop = asyncio.get_running_loop()
        # All keys requested in one iteration of the event loop are sent together, each of them once.
        if not self._pending:
            loop.call_soon(self._send_pending)
        waiting: asyncio.Future[bytes | None] = loop.create_future()
        self._pending.setdefault(key, []).append(waiting)
        return await waiting

    def put(self, key: str, value: bytes, ttl_seconds: float) -> None:
        """Queue the value for storage. It is dropped if Redis is unavailable, or the queue is full."""
        self._writes.add("SET", key, value, "PX", _milliseconds(ttl_seconds))

    async def claim(self, key: str, ttl_seconds: float) -> bool:
        """Whether this caller may compute: the key was free, or Redis is unavailable."""
        task = self._link.start(self._claim(key, ttl_seconds))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(lambda _: self.release(key))
            raise

    def release(self, key: str) -> None:
        """Queue the release of a claim. One that has expired, and was claimed by another process since, stays."""
        if (token := self._tokens.pop(key, None)) is not None:
            self._writes.add("EVAL", RELEASE, 1, key, token)

    async def run_script(self, script: str, key: str, *arguments: str) -> Any:
        """The result of a script; None if Redis is unavailable, or the script fails."""
        task = self._link.start(self._run_script(script, key, arguments))
        return await asyncio.shield(task)

    async def count(self, pattern: str) -> int:
        """About how many keys match: SCAN may return one twice. Raises CacheUnavailable."""
        return sum([len(keys) async for keys in self._scan(pattern)])

    async def delete_matching(self, pattern: str) -> int:
        """Delete the keys that match; return how many there were. Raises CacheUnavailable."""
        return sum([await self.execute("UNLINK", *keys) async for keys in self._scan(pattern)])

    async def execute(self, *command: str | bytes | int) -> Any:
        """The reply to an administrative command, within 2 s, whatever the breaker says. Raises CacheUnavailable."""
        try:
            async with self._admin_slots:
                return await self._admin.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError):
            raise CacheUnavailable("Redis cannot be reached.") from None

    async def flush(self) -> None:
        """Wait until all queued writes have been sent, or dropped."""
        await self._writes.flush()

    async def probe(self, timeout_seconds: float = 1.0) -> CacheProbe:
        """The state of Redis, within the timeout."""
        return await _probe(self._info(), self.backend, timeout_seconds)

    async def close(self) -> None:
        """Waiting reads get None, and queued writes are lost."""
        await self._link.close()
        await self._admin.aclose()

    def _send_pending(self) -> None:
        pending, self._pending = list(self._pending.items()), {}
        batch_keys = max(1, min(MAX_BATCH_KEYS, int(MAX_BATCH_BYTES / self._mean_bytes)))
        for first in range(0, len(pending), batch_keys):
            self._link.start(self._read(dict(pending[first : first + batch_keys])))

    async def _read(self, batch: dict[str, list[asyncio.Future[bytes | None]]]) -> None:
        values: list[bytes | None] = [None] * len(batch)
        try:
            with suppress(CacheUnavailable):
                values = await self._link.call("MGET", *batch)
        finally:
            for callers, value in zip(batch.values(), values, strict=True):
                self._resolve(callers, value)

    def _resolve(self, callers: list[asyncio.Future[bytes | None]], value: bytes | None) -> None:
        if value is None:
            self._misses += len(callers)
        else:
            self._hits += len(callers)
            self._mean_bytes += (len(value) - self._mean_bytes) / 16
        for caller in callers:
            if not caller.done():
                caller.set_result(value)

    async def _run_script(self, script: str, key: str, arguments: tuple[str, ...]) -> Any:
        try:
            [reply] = await self._link.call_all([("EVAL", script, 1, key, *arguments)])
        except CacheUnavailable:
            return None
        return None if isinstance(reply, RedisError) else reply

    async def _claim(self, key: str, ttl_seconds: float) -> bool:
        token = secrets.token_bytes(12)
        command = ("SET", key, token, "NX", "PX", _milliseconds(ttl_seconds))
        try:
            [reply] = await self._link.call_all([command])
        except CacheUnavailable:
            return True
        if reply is True:
            self._tokens[key] = token
        # None: another process has the claim. An error: no process can claim anything.
        return reply is not None

    async def _scan(self, pattern: str) -> AsyncIterator[list[bytes]]:
        cursor = b"0"
        while True:
            cursor, keys = await self.execute("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_PER_SCAN)
            if keys:
                yield keys
            if int(cursor) == 0:
                return

    async def _info(self) -> dict[str, Any]:
        async with self._admin_slots:
            return await self._admin.info()


def _milliseconds(seconds: float) -> int:
    # Redis rejects 0.
    return max(1, round(seconds * 1000))


async def _probe(info: Awaitable[dict[str, Any]], backend: str, timeout_seconds: float) -> CacheProbe:
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
