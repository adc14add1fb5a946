"""Whatever becomes of Redis: nobody waits for it, nothing is raised, and it is back in use soon after it is back."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import redis
from structlog.testing import capture_logs

from cache.link import CacheUnavailable
from cache.redis import SharedCache
from tests.proxy import Proxy
from tests.redis_server import RedisServer, redis_server

# The timeout is 50 ms; the rest is for a machine that does other things as well.
LONGEST_SECONDS = 0.15
NO_TIME_SECONDS = 0.002


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    with Proxy(server.url) as proxy:
        yield proxy


@asynccontextmanager
async def warm_cache(url: str, **options: int) -> AsyncIterator[SharedCache]:
    """One that has found a value under "a". Every connection that it takes is given back."""
    cache = SharedCache(url, **options)
    await put(cache)
    assert await cache.get("a") == b"value"
    try:
        yield cache
        await settle(cache)
    finally:
        await cache.close()
    assert not cache._link.redis.connection_pool._in_use_connections


async def put(cache: SharedCache) -> None:
    cache.put("a", b"value", 60)
    await settle(cache)


async def settle(cache: SharedCache) -> None:
    """All calls under way have ended, well or not."""
    async with asyncio.timeout(1):
        await asyncio.gather(*cache._link._tasks - {cache._link._recovery})


async def timed_get(cache: SharedCache) -> float:
    started = time.perf_counter()
    assert await cache.get("a") in (b"value", None)
    return time.perf_counter() - started


async def in_turns(cache: SharedCache, number: int) -> list[bytes | None]:
    """What is got by so many callers at the same time, in a command each."""
    asking = []
    for _ in range(number):
        asking.append(asyncio.create_task(cache.get("a")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return await asyncio.gather(*asking)


async def given_up(cache: SharedCache) -> None:
    """Callers notice in time that Redis is unwell, and from then on none waits."""
    waits = []
    async with asyncio.timeout(2):
        while cache.state == "closed":
            waits += await asyncio.gather(*(timed_get(cache) for _ in range(5)))
    assert max(waits) < LONGEST_SECONDS
    # Half of the last twenty calls are enough, however busy the event loop is; each is for five callers.
    assert len(waits) <= 100
    # The best of a few: the machine may be busy, but we were not waiting.
    assert min([await timed_get(cache) for _ in range(5)]) < NO_TIME_SECONDS / 10
    assert sorted([await timed_get(cache) for _ in range(100)])[90] < NO_TIME_SECONDS
    assert await cache.get("a") is None
    assert await cache.claim("claim", 1)
    cache.put("b", b"", 1)
    cache.release("claim")


async def well_again(cache: SharedCache, within_seconds: float = 2.0) -> None:
    async with asyncio.timeout(within_seconds):
        while cache.state != "closed":
            assert await timed_get(cache) < LONGEST_SECONDS
            await asyncio.sleep(0.01)
    await put(cache)
    assert await cache.get("a") == b"value"
    assert cache.stats.times_opened == 1


@pytest.mark.parametrize(
    "fault",
    [Proxy.refuse, Proxy.hang, lambda proxy: proxy.delay(0.2), lambda proxy: proxy.delay(0.015)],
    ids=["refused", "hung", "too slow", "slow"],
)
async def test_a_bad_network(proxy: Proxy, fault: Callable[[Proxy], None]) -> None:
    async with warm_cache(proxy.url) as cache:
        fault(proxy)
        await given_up(cache)
        await asyncio.sleep(0.3)
        assert cache.state == "open"
        proxy.restore()
        await well_again(cache)
        # The connections of before are gone.
        assert proxy.connections <= 2


async def test_who_waits_when_redis_is_given_up_waits_no_more(proxy: Proxy) -> None:
    async with warm_cache(proxy.url) as cache:
        # More connections than will be found dead below.
        proxy.delay(0.003)
        await in_turns(cache, 10)
        assert proxy.connections > 6
        proxy.hang()
        early = []
        for _ in range(5):
            early.append(asyncio.create_task(timed_get(cache)))
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.03)
        late = asyncio.create_task(timed_get(cache))
        await asyncio.gather(*early)
        assert await late < 0.035
        # Nor does anybody trust the connections of before.
        await asyncio.sleep(0.02)
        assert (cache.state, proxy.connections) == ("open", 0)
        proxy.restore()
        await well_again(cache)


async def test_closing_waits_for_nobody(proxy: Proxy) -> None:
    async with warm_cache(proxy.url) as cache:
        proxy.hang()
        asking = asyncio.create_task(timed_get(cache))
        await asyncio.sleep(0.002)
        await cache.close()
        assert await asking < 0.03


async def test_callers_take_turns_on_few_connections(proxy: Proxy) -> None:
    async with warm_cache(proxy.url, max_connections=2) as cache:
        proxy.delay(0.002)
        assert await in_turns(cache, 8) == [b"value"] * 8
        assert (cache.stats.failures, proxy.connections) == (0, 2)


async def test_a_connection_that_is_cut_is_replaced(proxy: Proxy) -> None:
    async with warm_cache(proxy.url) as cache:
        for _ in range(10):
            proxy.cut()
            # Let this loop hear of it.
            await asyncio.sleep(0.005)
            assert await cache.get("a") == b"value"
        assert (cache.state, cache.stats.failures) == ("closed", 0)
        assert proxy.connections == 1


async def test_a_connection_that_is_cut_under_way_costs_one_answer(proxy: Proxy) -> None:
    async with warm_cache(proxy.url) as cache:
        proxy.delay(0.01)
        asking = asyncio.create_task(timed_get(cache))
        await asyncio.sleep(0.005)
        proxy.cut()
        assert await asking < LONGEST_SECONDS
        proxy.restore()
        assert await cache.get("a") == b"value"
        assert (cache.state, cache.stats.failures, cache.stats.timeouts) == ("closed", 1, 0)


async def test_redis_is_killed_and_started_again(server: RedisServer) -> None:
    async with warm_cache(server.url) as cache:
        server.process.kill()
        server.process.wait()
        await given_up(cache)
        with started_again(server):
            await well_again(cache)


async def test_redis_is_stopped_and_continued(server: RedisServer) -> None:
    async with warm_cache(server.url) as cache:
        os.kill(server.process.pid, signal.SIGSTOP)
        await given_up(cache)
        os.kill(server.process.pid, signal.SIGCONT)
        await well_again(cache)


async def test_many_callers_on_few_connections_wait_no_longer(server: RedisServer) -> None:
    async with warm_cache(server.url, max_connections=3) as cache:
        waits: list[float] = []

        async def ask_on() -> None:
            while time.perf_counter() < end:
                waits.append(await timed_get(cache))
                await asyncio.sleep(0.001)

        end = time.perf_counter() + 0.5
        asking = [asyncio.create_task(ask_on()) for _ in range(30)]
        await asyncio.sleep(0.1)
        os.kill(server.process.pid, signal.SIGSTOP)
        await asyncio.gather(*asking)
        assert cache.state == "open"
        assert max(waits) < LONGEST_SECONDS
        os.kill(server.process.pid, signal.SIGCONT)
        await well_again(cache)


async def test_redis_is_full(server: RedisServer) -> None:
    async with warm_cache(server.url) as cache:
        configure(server, "CONFIG", "SET", "maxmemory", "100kb")
        configure(server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        await refuses_writes_only(cache, "OutOfMemoryError")
        configure(server, "CONFIG", "SET", "maxmemory", "0")
        await put(cache)
        assert cache.stats.dropped_writes == 20


async def test_redis_may_only_be_read_from(server: RedisServer) -> None:
    async with warm_cache(server.url) as cache:
        configure(server, "REPLICAOF", "127.0.0.1", "1")
        await refuses_writes_only(cache, "ReadOnlyError")
        configure(server, "REPLICAOF", "NO", "ONE")
        await put(cache)
        assert cache.stats.dropped_writes == 20


async def refuses_writes_only(cache: SharedCache, error: str) -> None:
    with capture_logs() as logs:
        for number in range(20):
            cache.put(f"b {number}", bytes(1000), 60)
            await settle(cache)
            assert await cache.get("a") == b"value"
    assert logs == [{"event": "redis_rejects_writes", "log_level": "warning", "error": error}]
    # Nobody can claim anything; so everybody may go on.
    assert await cache.claim("claim", 60)
    assert await cache.claim("claim", 60)
    assert (cache.state, cache.stats.failures, cache.stats.dropped_writes) == ("closed", 0, 20)


@pytest.mark.parametrize("password", ["", "?password=mistaken"])
async def test_redis_wants_another_password(server: RedisServer, password: str) -> None:
    configure(server, "CONFIG", "SET", "requirepass", "a-secret")
    cache = SharedCache(server.url + password)
    with capture_logs() as logs:
        await given_up(cache)
        with pytest.raises(CacheUnavailable) as raised:
            await cache.count("*")
        assert (await cache.probe()).message == "Redis cannot be reached."
    said = f"{logs} {raised.value}"
    assert "redis_unavailable" in said
    assert not any(secret in said for secret in ("mistaken", "a-secret", server.url))
    await cache.close()


async def test_something_else_answers() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    cache = SharedCache(f"redis://127.0.0.1:{other.sockets[0].getsockname()[1]}")
    await given_up(cache)
    await cache.close()
    other.close()


@contextmanager
def started_again(server: RedisServer) -> Iterator[None]:
    process = subprocess.Popen(server.process.args)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def configure(server: RedisServer, *command: str) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(*command)
