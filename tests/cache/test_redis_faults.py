"""Faults of Redis: no call waits longer than the timeout or raises, and Redis is used again soon after it is back."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from cache.link import CacheUnavailable
from cache.redis import SharedCache
from tests.proxy import Proxy
from tests.redis_server import RedisServer, redis_server
from tests.waiting import eventually

# The timeout is 50 ms; the rest is for a busy machine, on which single calls may take longer still.
LONGEST_SECONDS, BUSY_SECONDS = 0.15, 1.0
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
    """A cache that has found a value under "a". It must release every connection that it takes."""
    cache = SharedCache(url, **options)
    await put(cache)
    assert await cache.get("a") == b"value"
    try:
        yield cache
        await calls_ended(cache)
    finally:
        await cache.close()
    assert not cache._link.redis.connection_pool._in_use_connections


async def put(cache: SharedCache) -> None:
    cache.put("a", b"value", 60)
    await calls_ended(cache)


async def calls_ended(cache: SharedCache) -> None:
    """Wait until all running calls have ended, successfully or not."""
    async with asyncio.timeout(10):
        await asyncio.gather(*cache._link._tasks - {cache._link._recovery})


async def timed_get(cache: SharedCache) -> float:
    started = time.perf_counter()
    assert await cache.get("a") in (b"value", None)
    return time.perf_counter() - started


async def get_separately(cache: SharedCache, number: int) -> list[bytes | None]:
    """The results of so many concurrent callers, in a command each."""
    asking: list[asyncio.Task[bytes | None]] = []
    commands, start = 0, cache._link.start

    def counting_start(work: Any) -> Any:
        nonlocal commands
        commands += 1
        return start(work)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cache._link, "start", counting_start)
        async with asyncio.timeout(10):
            for _ in range(number):
                asking.append(asyncio.create_task(cache.get("a")))
                # Reads of one iteration of the event loop would share a command.
                while commands < len(asking):  # noqa: ASYNC110 - a wait in seconds would let earlier calls end
                    await asyncio.sleep(0)
    return await asyncio.gather(*asking)


async def breaker_opens(cache: SharedCache) -> None:
    """Wait until the breaker opens; no caller has waited longer than the timeout, and from then on none waits."""
    waits = []
    async with asyncio.timeout(10):
        while cache.state == "closed":
            waits += await asyncio.gather(*(timed_get(cache) for _ in range(5)))
    assert sorted(waits)[len(waits) // 2] < LONGEST_SECONDS
    assert max(waits) < BUSY_SECONDS
    # Ten failures among the last twenty calls open it, however busy the event loop is; each call is for five callers.
    assert len(waits) <= 100
    # The shortest of a few: the machine may be busy, but this process was not waiting.
    assert min([await timed_get(cache) for _ in range(5)]) < NO_TIME_SECONDS / 10
    assert sorted([await timed_get(cache) for _ in range(100)])[90] < NO_TIME_SECONDS
    assert await cache.get("a") is None
    assert await cache.claim("claim", 1)
    cache.put("b", b"", 1)
    cache.release("claim")


@contextmanager
def counted_probes(cache: SharedCache) -> Iterator[list[float | None]]:
    """The results of the breaker's probes in the block."""
    probes: list[float | None] = []
    record = cache._link.breaker.record_probe

    def recording(seconds: float | None) -> None:
        record(seconds)
        probes.append(seconds)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cache._link.breaker, "record_probe", recording)
        yield probes


async def breaker_closes(cache: SharedCache, within_seconds: float = 5.0) -> None:
    async with asyncio.timeout(within_seconds):
        while cache.state != "closed":
            assert await timed_get(cache) < BUSY_SECONDS
            await asyncio.sleep(0.01)
    await put(cache)
    assert await cache.get("a") == b"value"
    assert cache.stats.times_opened == 1


def is_cut(connection: Any) -> bool:
    """Whether the client has seen that an idle connection is lost."""
    reader = connection._reader
    return reader is None or reader.at_eof() or reader.exception() is not None


@pytest.mark.parametrize(
    "fault",
    [Proxy.refuse, Proxy.hang, lambda proxy: proxy.delay(0.2), lambda proxy: proxy.delay(0.015)],
    ids=["refused", "hung", "too slow", "slow"],
)
async def test_a_bad_network(proxy: Proxy, fault: Callable[[Proxy], None]) -> None:
    async with warm_cache(proxy.url) as cache:
        fault(proxy)
        await breaker_opens(cache)
        # Probes fail as well, so it stays open.
        with counted_probes(cache) as probes:
            await eventually(lambda: len(probes) >= 2)
        assert cache.state == "open"
        proxy.restore()
        await breaker_closes(cache)
        # The earlier connections are gone.
        assert proxy.connections <= 2


async def test_waiting_calls_end_when_the_breaker_opens(proxy: Proxy) -> None:
    async with warm_cache(proxy.url) as cache:
        # More connections than those that time out below.
        proxy.delay(0.003)
        await get_separately(cache, 10)
        assert proxy.connections > 6
        proxy.hang()
        early = []
        for _ in range(5):
            early.append(asyncio.create_task(timed_get(cache)))
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.03)
        late = asyncio.create_task(timed_get(cache))
        await asyncio.gather(*early)
        early_ended = time.perf_counter()
        await late
        # It started 30 ms later, and does not use the rest of its timeout.
        assert time.perf_counter() - early_ended < 0.02
        # Idle connections are closed as well.
        await eventually(lambda: proxy.connections == 0)
        assert cache.state == "open"
        proxy.restore()
        await breaker_closes(cache)


async def test_closing_does_not_wait_for_running_calls(proxy: Proxy) -> None:
    async with warm_cache(proxy.url) as cache:
        proxy.hang()
        asking = asyncio.create_task(timed_get(cache))
        await eventually(lambda: not cache._pending and bool(cache._link._loop_timeout._deadlines))
        await cache.close()
        assert await asking < 0.03


async def test_callers_share_few_connections(proxy: Proxy) -> None:
    async with warm_cache(proxy.url, max_connections=2) as cache:
        proxy.delay(0.002)
        assert await get_separately(cache, 8) == [b"value"] * 8
        assert (cache.stats.failures, proxy.connections) == (0, 2)


async def test_a_connection_that_is_cut_is_replaced(proxy: Proxy) -> None:
    async with warm_cache(proxy.url) as cache:
        pool = cache._link.redis.connection_pool
        for _ in range(10):
            proxy.cut()
            # Until the event loop of this test has seen it.
            await eventually(lambda: all(is_cut(each) for each in pool._available_connections))
            assert await cache.get("a") == b"value"
        assert (cache.state, cache.stats.failures) == ("closed", 0)
        assert proxy.connections == 1


async def test_a_connection_that_is_cut_during_a_call_costs_one_answer(proxy: Proxy) -> None:
    async with warm_cache(proxy.url) as cache:
        proxy.delay(0.01)
        asking = asyncio.create_task(timed_get(cache))
        await eventually(lambda: bool(cache._link._loop_timeout._deadlines))
        proxy.cut()
        assert await asking < LONGEST_SECONDS
        proxy.restore()
        assert await cache.get("a") == b"value"
        assert (cache.state, cache.stats.failures, cache.stats.timeouts) == ("closed", 1, 0)


async def test_redis_is_killed_and_started_again(server: RedisServer) -> None:
    async with warm_cache(server.url) as cache:
        server.process.kill()
        server.process.wait()
        await breaker_opens(cache)
        with started_again(server):
            await breaker_closes(cache)


async def test_redis_is_stopped_and_continued(server: RedisServer) -> None:
    async with warm_cache(server.url) as cache:
        os.kill(server.process.pid, signal.SIGSTOP)
        await breaker_opens(cache)
        os.kill(server.process.pid, signal.SIGCONT)
        await breaker_closes(cache)


async def test_many_callers_on_few_connections_wait_no_longer(server: RedisServer) -> None:
    async with warm_cache(server.url, max_connections=3) as cache:
        waits: list[float] = []

        async def ask_on() -> None:
            while cache.state == "closed":
                waits.append(await timed_get(cache))
                await asyncio.sleep(0.001)

        asking = [asyncio.create_task(ask_on()) for _ in range(30)]
        await eventually(lambda: len(waits) > 100)
        os.kill(server.process.pid, signal.SIGSTOP)
        async with asyncio.timeout(10):
            await asyncio.gather(*asking)
        assert cache.state == "open"
        assert max(waits) < BUSY_SECONDS
        os.kill(server.process.pid, signal.SIGCONT)
        await breaker_closes(cache)


async def test_redis_is_full(server: RedisServer) -> None:
    async with warm_cache(server.url) as cache:
        configure(server, "CONFIG", "SET", "maxmemory", "100kb")
        configure(server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        await rejects_writes_only(cache, "OutOfMemoryError")
        configure(server, "CONFIG", "SET", "maxmemory", "0")
        await put(cache)
        assert cache.stats.dropped_writes == 20


async def test_redis_is_read_only(server: RedisServer) -> None:
    async with warm_cache(server.url) as cache:
        configure(server, "REPLICAOF", "127.0.0.1", "1")
        await rejects_writes_only(cache, "ReadOnlyError")
        configure(server, "REPLICAOF", "NO", "ONE")
        await put(cache)
        assert cache.stats.dropped_writes == 20


async def rejects_writes_only(cache: SharedCache, error: str) -> None:
    with capture_logs() as logs:
        for number in range(20):
            cache.put(f"b {number}", bytes(1000), 60)
            await calls_ended(cache)
            assert await cache.get("a") == b"value"
    assert logs == [{"event": "redis_rejects_writes", "log_level": "warning", "error": error}]
    # No process can claim anything, so each may compute.
    assert await cache.claim("claim", 60)
    assert await cache.claim("claim", 60)
    assert (cache.state, cache.stats.failures, cache.stats.dropped_writes) == ("closed", 0, 20)


@pytest.mark.parametrize("password", ["", "?password=mistaken"])
async def test_redis_requires_another_password(server: RedisServer, password: str) -> None:
    configure(server, "CONFIG", "SET", "requirepass", "a-secret")
    cache = SharedCache(server.url + password)
    with capture_logs() as logs:
        await breaker_opens(cache)
        with pytest.raises(CacheUnavailable) as raised:
            await cache.count("*")
        assert (await cache.probe()).message == "Redis cannot be reached."
    messages = f"{logs} {raised.value}"
    assert "redis_unavailable" in messages
    assert not any(secret in messages for secret in ("mistaken", "a-secret", server.url))
    await cache.close()


async def test_another_protocol_answers() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    cache = SharedCache(f"redis://127.0.0.1:{other.sockets[0].getsockname()[1]}")
    await breaker_opens(cache)
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
