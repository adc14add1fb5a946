"""The shared tier: Redis, when there is one. A Redis that is missing and one that is down are the same path."""

import asyncio
import time
from dataclasses import dataclass

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.exceptions import RedisError

CONNECT_TIMEOUT_SECONDS = 1.0


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
    connected_clients: int | None = None
    uptime_seconds: int | None = None

    @property
    def alive(self) -> bool:
        return self.message is None


class Cache:
    """Memory alone, or memory and Redis. Nothing connects before the first command."""

    def __init__(self, url: str | None, *, max_connections: int = 50) -> None:
        self._redis: Redis | None = None
        if url is not None:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=max_connections,
                timeout=CONNECT_TIMEOUT_SECONDS,
                socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
            )
            self._redis = Redis.from_pool(pool)

    @property
    def backend(self) -> str:
        return "memory" if self._redis is None else "memory+redis"

    async def probe(self, timeout_seconds: float = 1.0) -> CacheProbe:
        """Look at Redis without ever hanging on it."""
        if self._redis is None:
            return CacheProbe(self.backend)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(timeout_seconds):
                figures = await self._redis.info()
        except TimeoutError:
            return CacheProbe(self.backend, f"No answer within {timeout_seconds:g} s.")
        except (RedisError, OSError):
            return CacheProbe(self.backend, "Redis cannot be reached.")
        return CacheProbe(
            self.backend,
            latency_ms=round((time.perf_counter() - started) * 1000, 3),
            used_memory_mb=round(figures["used_memory"] / 2**20, 3),
            connected_clients=figures["connected_clients"],
            uptime_seconds=figures["uptime_in_seconds"],
        )

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()
