"""Calls to Redis, each within a timeout; none while the circuit breaker is open."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any, TypeVar

import structlog
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from cache.breaker import Breaker
from cache.loop_timeout import LoopTimeout

Result = TypeVar("Result")
Command = tuple[str | bytes | int, ...]

LOG_SECONDS = 60.0
log = structlog.get_logger("candlegraph.cache")


class CacheUnavailable(Exception):
    """Redis cannot be reached, or takes too long."""


def client(url: str, *, max_connections: int, timeout_seconds: float | None = None) -> Redis:
    """A client that sends nothing on its own: no retries, no CLIENT SETINFO."""
    pool = ConnectionPool.from_url(
        url,
        max_connections=max_connections,
        protocol=3,
        socket_connect_timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        # Two round trips for each new connection.
        driver_info=None,
        # One more; and with it, redis-py considers connections that hold unread data to be clean.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return Redis.from_pool(pool)


class Link:
    """Calls Redis, and enforces the timeout of each call; the timeouts of redis-py are off.

    Those cost a task for each call, add up, and do not distinguish a busy event loop from a slow Redis.
    """

    def __init__(self, url: str, *, max_connections: int, timeout_seconds: float) -> None:
        self.failures = 0
        self.timeouts = 0
        self.breaker = Breaker(slow_seconds=timeout_seconds / 2)
        self.redis = client(url, max_connections=max_connections)
        self._timeout = timeout_seconds
        # The blocking pool of redis-py loses a connection when the wait for it is cancelled; a semaphore does not.
        self._slots = asyncio.Semaphore(self.redis.connection_pool.max_connections)
        self._loop_timeout = LoopTimeout()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._recovery: asyncio.Task[None] | None = None
        self._closed = False
        self._logged_at: dict[str, float] = {}

    @property
    def usable(self) -> bool:
        return self.breaker.state == "closed" and not self._closed

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Run work that continues if its caller is cancelled."""
        # Not in the context of the request that starts it: other requests share it, and its log lines are of none.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def call(self, *command: str | bytes | int) -> Any:
        """Raises CacheUnavailable."""
        return await self._call_within_timeout(partial(self.redis.execute_command, *command))

    async def call_all(self, commands: list[Command]) -> list[Any]:
        """The replies, in one round trip; an exception for each command that fails. Raises CacheUnavailable."""
        pipeline = self.redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await self._call_within_timeout(partial(pipeline.execute, raise_on_error=False))

    def log(self, event: str, **details: str) -> None:
        """Log a warning, at most once a minute. Messages of errors stay out: they may contain the address of Redis."""
        now = time.monotonic()
        if now - self._logged_at.get(event, -LOG_SECONDS) >= LOG_SECONDS:
            self._logged_at[event] = now
            log.warning(event, **details)

    async def close(self) -> None:
        self._closed = True
        # Calls are not cancelled: they fail, so that their callers get a result.
        self._loop_timeout.expire_all()
        if self._recovery is not None:
            self._recovery.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.redis.aclose()

    async def _call_within_timeout(self, work: Callable[[], Awaitable[Result]]) -> Result:
        if not self.usable:
            raise CacheUnavailable
        started = self._loop_timeout.now()
        try:
            async with self._loop_timeout.within(self._timeout), self._slots:
                result = await work()
        except Exception as error:
            self.failures += 1
            self.timeouts += isinstance(error, TimeoutError)
            self._record_call(None, error)
            raise CacheUnavailable from None
        self._record_call(self._loop_timeout.now() - started)
        return result

    def _record_call(self, seconds: float | None, error: Exception | None = None) -> None:
        if not self._closed and self.breaker.record_call(seconds):
            self.log("redis_unavailable", error=type(error).__name__ if error else "slow")
            # The calls that are running would fail as well.
            self._loop_timeout.expire_all()
            self._recovery = self.start(self._recover())

    async def _recover(self) -> None:
        # Idle connections may be as dead as those that failed.
        with suppress(Exception):
            async with self._loop_timeout.within(self._timeout):
                await self.redis.connection_pool.disconnect(inuse_connections=False)
        while self.breaker.state != "closed":
            await asyncio.sleep(self.breaker.wait())
            self.breaker.record_probe(await self._probe())

    async def _probe(self) -> float | None:
        started = self._loop_timeout.now()
        try:
            async with self._loop_timeout.within(self._timeout), self._slots:
                await self.redis.execute_command("PING")  # type: ignore[no-untyped-call]
        except Exception:
            return None
        return self._loop_timeout.now() - started
