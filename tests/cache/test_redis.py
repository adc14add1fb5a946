"""The connection to Redis: looked at, and never waited for."""

import asyncio
import os
import signal
import time

from cache.redis import Cache, CacheProbe
from tests.redis_server import redis_server


async def test_memory_alone_is_well() -> None:
    cache = Cache(None)
    assert await cache.probe() == CacheProbe("memory")
    assert (await cache.probe()).alive
    await cache.close()


async def test_redis_tells_its_figures(redis_url: str) -> None:
    cache = Cache(redis_url)
    probe = await cache.probe()
    assert (probe.backend, probe.message) == ("memory+redis", None)
    assert probe.latency_ms is not None
    assert 0 < probe.latency_ms < 1000
    assert probe.used_memory_mb is not None
    assert probe.used_memory_mb > 0
    assert probe.connected_clients is not None
    assert probe.connected_clients >= 1
    assert probe.uptime_seconds is not None
    await cache.close()


async def test_nobody_there() -> None:
    cache = Cache("redis://127.0.0.1:1/0")
    probe = await cache.probe()
    assert not probe.alive
    assert probe.message == "Redis cannot be reached."
    await cache.close()


async def test_a_redis_that_hangs_costs_the_timeout_and_no_more() -> None:
    with redis_server() as server:
        cache = Cache(server.url)
        assert (await cache.probe()).alive
        os.kill(server.process.pid, signal.SIGSTOP)
        started = time.monotonic()
        assert (await cache.probe(timeout_seconds=0.2)).message == "No answer within 0.2 s."
        assert time.monotonic() - started < 0.5
        os.kill(server.process.pid, signal.SIGCONT)
        assert (await cache.probe()).alive
        await cache.close()


async def test_a_redis_that_goes_away() -> None:
    with redis_server() as server:
        cache = Cache(server.url)
        assert (await cache.probe()).alive
        server.process.kill()
        server.process.wait()
        assert not (await cache.probe()).alive
    await cache.close()


async def test_more_probes_than_connections(redis_url: str) -> None:
    cache = Cache(redis_url, max_connections=2)
    probes = await asyncio.gather(*(cache.probe() for _ in range(20)))
    assert all(probe.alive for probe in probes)
    await cache.close()
