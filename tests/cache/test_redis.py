"""Redis as the shared tier: reads, writes, claims and probes, all within a timeout."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator

import pytest
import redis

from cache.redis import SharedCache
from tests.proxy import Proxy
from tests.redis_server import redis_server
from tests.waiting import eventually


async def test_a_probe_returns_figures_of_redis(redis_url: str) -> None:
    cache = SharedCache(redis_url)
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


async def test_a_probe_of_an_unreachable_redis() -> None:
    cache = SharedCache("redis://127.0.0.1:1/0")
    probe = await cache.probe()
    assert not probe.alive
    assert probe.message == "Redis cannot be reached."
    await cache.close()


async def test_a_probe_of_a_redis_that_hangs_ends_at_its_timeout() -> None:
    with redis_server() as server:
        cache = SharedCache(server.url)
        assert (await cache.probe()).alive
        os.kill(server.process.pid, signal.SIGSTOP)
        started = time.monotonic()
        assert (await cache.probe(timeout_seconds=0.2)).message == "No answer within 0.2 s."
        assert time.monotonic() - started < 0.5
        os.kill(server.process.pid, signal.SIGCONT)
        assert (await cache.probe()).alive
        await cache.close()


async def test_a_probe_of_a_redis_that_was_killed() -> None:
    with redis_server() as server:
        cache = SharedCache(server.url)
        assert (await cache.probe()).alive
        server.process.kill()
        server.process.wait()
        assert not (await cache.probe()).alive
    await cache.close()


async def test_more_probes_than_connections(redis_url: str) -> None:
    cache = SharedCache(redis_url, max_connections=2)
    probes = await asyncio.gather(*(cache.probe() for _ in range(20)))
    assert all(probe.alive for probe in probes)
    await cache.close()


@pytest.fixture
async def shared(redis_url: str) -> AsyncIterator[SharedCache]:
    """It must release every connection that it takes."""
    cache = SharedCache(redis_url)
    await cache.delete_matching("*")
    yield cache
    await flushed(cache)
    assert not cache._link.redis.connection_pool._in_use_connections
    await cache.close()


async def flushed(cache: SharedCache) -> None:
    """Wait until all calls to Redis have ended."""
    async with asyncio.timeout(10):
        await asyncio.gather(*cache._link._tasks)


async def test_a_value_is_found_until_it_expires(shared: SharedCache) -> None:
    assert await shared.get("a") is None
    shared.put("a", b"\x00\xff value", 60)
    shared.put("b", b"short", 0.05)
    await flushed(shared)
    assert await shared.get("a") == b"\x00\xff value"

    async def has_expired() -> bool:
        return await shared.get("b") is None

    await eventually(has_expired)
    assert (shared.stats.misses >= 2, shared.state) == (True, "closed")


async def test_concurrent_reads_are_one_command(shared: SharedCache, redis_url: str) -> None:
    for number in range(150):
        shared.put(f"key {number}", b"%d" % number, 60)
    await flushed(shared)
    keys = [f"key {number}" for number in range(0, 300, 2)]
    with redis.Redis.from_url(redis_url) as observer:
        before = observer.info("commandstats")
        values = await asyncio.gather(*(shared.get(key) for key in keys + keys))
        after = observer.info("commandstats")
    expected = [b"%d" % number if number < 150 else None for number in range(0, 300, 2)]
    assert values == expected + expected
    # A command has a hundred keys at most.
    assert after["cmdstat_mget"]["calls"] - before.get("cmdstat_mget", {"calls": 0})["calls"] == 2


async def test_large_values_come_in_smaller_batches(shared: SharedCache, redis_url: str) -> None:
    for number in range(20):
        shared.put(f"large {number}", bytes([number]) * 200_000, 60)
    await flushed(shared)
    for _ in range(40):
        assert await shared.get("large 7") == b"\x07" * 200_000
    with redis.Redis.from_url(redis_url) as observer:
        before = observer.info("commandstats")["cmdstat_mget"]["calls"]
        values = await asyncio.gather(*(shared.get(f"large {number}") for number in range(20)))
        assert observer.info("commandstats")["cmdstat_mget"]["calls"] - before == 4
    assert values == [bytes([number]) * 200_000 for number in range(20)]


async def test_cancelled_reads_leave_no_reply_to_the_next(redis_url: str) -> None:
    cache = SharedCache(redis_url, max_connections=3)
    for number in range(50):
        cache.put(f"own {number}", b"%d" % number, 60)
    await flushed(cache)
    chance = random.Random(7)

    async def ask(number: int) -> None:
        assert await cache.get(f"own {number}") == b"%d" % number

    for _ in range(300):
        asking = [asyncio.create_task(ask(chance.randrange(50))) for _ in range(4)]
        await asyncio.sleep(chance.choice([0, 0, 0.0001, 0.0003]))
        asking.pop(chance.randrange(4)).cancel()
        asking.pop(chance.randrange(3)).cancel()
        await asyncio.gather(*asking)
    assert (cache.state, cache.stats.failures) == ("closed", 0)
    await cache.close()


async def test_calls_that_time_out_leave_no_reply_to_the_next(redis_url: str) -> None:
    """The same if the command itself is cancelled, at any moment."""
    cache = SharedCache(redis_url, max_connections=3)
    for number in range(50):
        cache.put(f"own {number}", b"%d" % number, 60)
    await flushed(cache)
    chance = random.Random(7)
    ended = 0
    for _ in range(300):
        numbers = [chance.randrange(50) for _ in range(4)]
        asking = [asyncio.create_task(cache.get(f"own {number}")) for number in numbers]
        for _ in range(chance.randrange(1, 9)):
            await asyncio.sleep(0)
        cache._link._loop_timeout.expire_all()
        for number, value in zip(numbers, await asyncio.gather(*asking), strict=True):
            ended += value is None
            assert value in (None, b"%d" % number)
        # These failures must not open the breaker.
        cache._link.breaker._failures = 0
    assert 100 < ended < 1_100
    assert not cache._link.redis.connection_pool._in_use_connections
    await cache.close()


async def test_only_one_process_gets_a_claim(shared: SharedCache, redis_url: str) -> None:
    other = SharedCache(redis_url)
    assert sorted(await asyncio.gather(shared.claim("a", 60), other.claim("a", 60))) == [False, True]
    assert not await shared.claim("a", 60)
    for cache in (shared, other):
        cache.release("a")
        await flushed(cache)
    assert await other.claim("a", 60)
    await other.close()


async def test_an_expired_claim_is_not_released_for_its_new_owner(shared: SharedCache, redis_url: str) -> None:
    other = SharedCache(redis_url)
    assert await shared.claim("a", 0.02)
    await eventually(lambda: other.claim("a", 60))
    shared.release("a")
    await flushed(shared)
    assert not await shared.claim("a", 60)
    await other.close()


async def test_a_cancelled_claim_is_released(shared: SharedCache) -> None:
    for turns in range(8):
        claiming = asyncio.create_task(shared.claim("a", 60))
        for _ in range(turns):
            await asyncio.sleep(0)
        claiming.cancel()
        await asyncio.gather(claiming, return_exceptions=True)
        await flushed(shared)
        await eventually(lambda: shared.claim("a", 60))
        shared.release("a")
        await flushed(shared)


async def test_keys_are_counted_and_deleted_by_pattern(shared: SharedCache) -> None:
    for first in range(0, 1_500, 150):
        for number in range(first, first + 150):
            shared.put(f"{'even' if number % 2 == 0 else 'odd'}:{number}", b"", 60)
        await flushed(shared)
    assert (await shared.count("even:*"), await shared.count("*")) == (750, 1_500)
    assert await shared.delete_matching("even:*") == 750
    assert (await shared.count("even:*"), await shared.count("odd:*")) == (0, 750)
    assert await shared.delete_matching("none:*") == 0


async def test_writes_beyond_bounds_are_dropped(shared: SharedCache) -> None:
    shared.put("too large", bytes(2**20 + 1), 60)
    assert shared.stats.dropped_writes == 1
    for number in range(250):
        shared.put(f"key {number}", b"", 60)
    await flushed(shared)
    assert shared.stats.dropped_writes == 51
    assert await shared.count("*") == 200


async def test_a_busy_event_loop_is_not_a_slow_redis(shared: SharedCache) -> None:
    shared.put("a", b"value", 60)
    await flushed(shared)

    async def be_busy() -> None:
        while True:
            time.sleep(0.03)  # noqa: ASYNC251
            await asyncio.sleep(0)

    busy = asyncio.create_task(be_busy())
    for _ in range(6):
        assert await shared.get("a") == b"value"
    busy.cancel()
    assert (shared.state, shared.stats.failures) == ("closed", 0)


async def test_reads_that_wait_when_it_closes_get_nothing(redis_url: str) -> None:
    cache = SharedCache(redis_url)
    waiting = [asyncio.create_task(cache.get(f"key {number}")) for number in range(3)]
    await eventually(lambda: cache._link._tasks, every=0)
    late = asyncio.create_task(cache.get("late"))
    await eventually(lambda: "late" in cache._pending, every=0)
    await cache.close()
    async with asyncio.timeout(1):
        assert await asyncio.gather(*waiting, late, cache.get("later")) == [None] * 5
    assert await cache.claim("a", 60)
    cache.put("a", b"", 60)


async def test_concurrent_probes(shared: SharedCache) -> None:
    probes = await asyncio.gather(*(shared.probe() for _ in range(20)))
    assert all(probe.alive and probe.backend == "memory+redis" and probe.used_memory_mb for probe in probes)


async def test_a_new_connection_sends_hello_and_nothing_else(redis_url: str) -> None:
    """Each further command would be a round trip that a request waits for."""
    with Proxy(redis_url) as proxy, redis.Redis.from_url(redis_url) as observer:
        cache = SharedCache(proxy.url)
        observer.config_resetstat()
        await cache.get("a")
        commands = {name.removeprefix("cmdstat_") for name in observer.info("commandstats")}
        assert commands - {"config|resetstat", "config", "info"} == {"hello", "mget"}
        await cache.close()
