"""Faults of Redis during a soak: one after the other, most of the time."""

import asyncio
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import NamedTuple

import redis

from tests.proxy import Proxy
from tests.redis_server import RedisServer, redis_server

# A fault of PostgreSQL rather than Redis: no server receives changes.
DEAF = "deaf"
AGAIN_SECONDS = 0.25
START_SECONDS = 10
CALM_SECONDS = 0.1, 0.5
HARSH_SECONDS = 0.5, 3.0
# Longer than the five seconds in which servers with an open breaker probe Redis: it is used during these faults.
GENTLE_SECONDS = 4.0, 8.0


class Fault(NamedTuple):
    """How it begins and ends, what is repeated while it is on, and the range of its length in seconds."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]
    again: Callable[[], object] = bool
    lasts: tuple[float, float] = HARSH_SECONDS


class Redis:
    """A separate Redis behind a proxy."""

    def __init__(self, server: RedisServer, proxy: Proxy) -> None:
        self.proxy = proxy
        self._server = server
        self._process = server.process
        self._client = redis.Redis.from_url(server.url, socket_timeout=1)
        self._held: dict[bytes, bytes] = {}

    def harsh_faults(self) -> list[Fault]:
        """While these are on, Redis is unusable, and the breakers open."""
        proxy = self.proxy
        return [
            Fault("killed", self.kill, self.restart),
            Fault("paused", self._pause, self._resume),
            Fault("hung", proxy.hang, proxy.restore),
            Fault("refused", proxy.refuse, proxy.restore),
            Fault("slow", lambda: proxy.delay(random.uniform(0.002, 0.1)), proxy.restore),
            Fault("cut", proxy.cut, bool, proxy.cut),
        ]

    def gentle_faults(self) -> list[Fault]:
        """While these are on, Redis goes on answering."""
        flush = self._client.flushall
        return [
            Fault("flushed", flush, bool, flush, GENTLE_SECONDS),
            Fault("full", lambda: self._fill("100kb"), lambda: self._fill("0"), bool, GENTLE_SECONDS),
            Fault("set back", self._set_back, bool, self._set_back, GENTLE_SECONDS),
        ]

    def clients(self) -> int:
        """Connections to it, except the one of this class."""
        return len(self._client.client_list()) - 1

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        # Ctrl-C reaches this process alone, which then stops Redis.
        self._process = subprocess.Popen(self._server.process.args, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(redis.RedisError):
                self._client.ping()
                return
            time.sleep(0.02)

    def close(self) -> None:
        self._client.close()
        self.kill()

    def _pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def _resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _fill(self, memory: str) -> None:
        self._client.config_set("maxmemory-policy", "noeviction")
        self._client.config_set("maxmemory", memory)

    def _set_back(self) -> None:
        """As after the restore of a backup: the first value of each key is back."""
        keys = [key for key in self._client.keys("*:response:*") if b":claim:" not in key]
        for key, value in zip(keys, self._client.mget(keys) if keys else [], strict=True):
            # A key may have expired meanwhile.
            if value is not None:
                self._held.setdefault(key, value)
        with self._client.pipeline(transaction=False) as pipeline:
            for key, value in self._held.items():
                pipeline.set(key, value, ex=3600)
            pipeline.execute()


@contextmanager
def separate_redis() -> Iterator[Redis]:
    with redis_server() as server, Proxy(server.url) as proxy:
        ours = Redis(server, proxy)
        try:
            ours.kill()
            ours.restart()
            yield ours
        finally:
            ours.close()


class Faults:
    """Which fault is on, since when, and how long each has been."""

    def __init__(self, kinds: Iterable[Iterator[Fault]], pace: float) -> None:
        """One fault of each kind, in turns. pace: the factor by which they come and go faster than usual."""
        self.now = ""
        self.since = 0.0
        self.seconds = defaultdict[str, float](float)
        self._kinds = cycle(kinds)
        self._pace = pace

    async def come_and_go(self, ends_at: float) -> None:
        while time.monotonic() < ends_at:
            await asyncio.sleep(random.uniform(*CALM_SECONDS) / self._pace)
            await self._apply(next(next(self._kinds)), ends_at)

    async def _apply(self, fault: Fault, ends_at: float) -> None:
        until = min(ends_at, time.monotonic() + random.uniform(*fault.lasts) / self._pace)
        try:
            # In threads: waiting for Redis in the event loop would delay the readers.
            await asyncio.to_thread(fault.begin)
            self.now, self.since = fault.name, time.monotonic()
            while (left := until - time.monotonic()) > 0:
                await asyncio.sleep(min(left, AGAIN_SECONDS))
                await asyncio.to_thread(fault.again)
            self.seconds[fault.name] += time.monotonic() - self.since
        finally:
            self.now = ""
            await asyncio.to_thread(fault.end)


def in_any_order(faults: list[Fault]) -> Iterator[Fault]:
    """Endless; no fault is repeated before all have occurred."""
    while True:
        yield from random.sample(faults, len(faults))
