"""The way to Redis: calls in time or not at all, and while it is unwell, none."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
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
    """A client that says nothing but what it is told to: no retries, no greetings."""
    pool = ConnectionPool.from_url(
        url,
        max_connections=max_connections,
        protocol=3,
        socket_connect_timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        # Two round trips for each new connection.
        driver_info=None,
        # One more; and with it, redis-py takes connections that hold unread data for clean.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return Redis.from_pool(pool)


class Link:
    """Each call is held to the timeout by our patience alone.

    The timeouts of redis-py cost a task a call, add up, and tell no busy event loop from a slow Redis.
    """

    def __init__(self, url: str, *, max_connections: int, timeout_seconds: float) -> None:
        self.failures = 0
        self.timeouts = 0
        self.breaker = Breaker(slow_seconds=timeout_seconds / 2)
        self.redis = client(url, max_connections=max_connections)
        self._timeout = timeout_seconds
        # The pool of redis-py that waits for a connection loses it where the wait is cancelled; this does not.
        self._places = asyncio.Semaphore(self.redis.connection_pool.max_connections)
        self._loop_timeout = LoopTimeout()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._recovery: asyncio.Task[None] | None = None
        self._closed = False
        self._logged_at: dict[str, float] = {}

    @property
    def usable(self) -> bool:
        return self.breaker.state == "closed" and not self._closed

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Work that goes on whatever becomes of who asked for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def call(self, *command: str | bytes | int) -> Any:
        """Raises CacheUnavailable."""
        return await self._in_time(partial(self.redis.execute_command, *command))

    async def call_all(self, commands: list[Command]) -> list[Any]:
        """The answers, in one round trip; an exception for each that Redis refuses. Raises CacheUnavailable."""
        pipeline = self.redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await self._in_time(partial(pipeline.execute, raise_on_error=False))

    def log(self, event: str, **details: str) -> None:
        """A warning, at most once a minute. Messages of errors stay out: they may tell where Redis is."""
        now = time.monotonic()
        if now - self._logged_at.get(event, -LOG_SECONDS) >= LOG_SECONDS:
            self._logged_at[event] = now
            log.warning(event, **details)

    async def close(self) -> None:
        self._closed = True
        # Calls are not cancelled, but fail, and tell their callers.
        self._loop_timeout.end()
        if self._recovery is not None:
            self._recovery.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.redis.aclose()

    async def _in_time(self, work: Callable[[], Awaitable[Result]]) -> Result:
        if not self.usable:
            raise CacheUnavailable
        started = self._loop_timeout.now()
        try:
            async with self._loop_timeout.within(self._timeout), self._places:
                result = await work()
        except Exception as error:
            self.failures += 1
            self.timeouts += isinstance(error, TimeoutError)
            self._called(None, error)
            raise CacheUnavailable from None
        self._called(self._loop_timeout.now() - started)
        return result

    def _called(self, seconds: float | None, error: Exception | None = None) -> None:
        if not self._closed and self.breaker.called(seconds):
            self.log("redis_unwell", error=type(error).__name__ if error else "slow")
            # Those who wait now would wait in vain.
            self._loop_timeout.end()
            self._recovery = self.start(self._recover())

    async def _recover(self) -> None:
        # Connections that nobody uses may be as dead as those that failed.
        with suppress(Exception):
            async with self._loop_timeout.within(self._timeout):
                await self.redis.connection_pool.disconnect(inuse_connections=False)
        while self.breaker.state != "closed":
            await asyncio.sleep(self.breaker.wait())
            self.breaker.looked(await self._look())

    async def _look(self) -> float | None:
        started = self._loop_timeout.now()
        try:
            async with self._loop_timeout.within(self._timeout), self._places:
                await self.redis.execute_command("PING")  # type: ignore[no-untyped-call]
        except Exception:
            return None
        return self._loop_timeout.now() - started
