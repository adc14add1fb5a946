"""What becomes of Redis meanwhile: one fault after the other, most of the time."""

import asyncio
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import redis

from tests.proxy import Proxy
from tests.redis_server import RedisServer, redis_server

AGAIN_SECONDS = 0.25
# Between faults. Whoever has given Redis up looks at it again within five seconds: gentle faults last longer, so that
# it is used while they are on.
CALM_SECONDS = 0.1, 0.5
HARSH_SECONDS = 0.5, 3.0
GENTLE_SECONDS = 3.0, 6.0


class Fault(NamedTuple):
    """again is called every now and then while it is on."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]
    again: Callable[[], object] = bool
    lasts: tuple[float, float] = HARSH_SECONDS


class Redis:
    """A Redis of our own behind a proxy."""

    def __init__(self, server: RedisServer, proxy: Proxy) -> None:
        self.proxy = proxy
        self._server = server
        self._process = server.process
        self._client = redis.Redis.from_url(server.url, socket_timeout=1)
        self._held: dict[bytes, bytes] = {}

    def faults(self) -> list[Fault]:
        proxy = self.proxy
        gentle = {"lasts": GENTLE_SECONDS}
        return [
            Fault("killed", self.kill, self.restart),
            Fault("paused", self._pause, self._resume),
            Fault("hung", proxy.hang, proxy.restore),
            Fault("refused", proxy.refuse, proxy.restore),
            Fault("slow", lambda: proxy.delay(random.uniform(0.002, 0.1)), proxy.restore),
            Fault("cut", proxy.cut, proxy.cut, proxy.cut),
            Fault("flushed", self._client.flushall, bool, self._client.flushall, **gentle),
            Fault("full", lambda: self._fill("100kb"), lambda: self._fill("0"), **gentle),
            Fault("set back", self._hold, self._put_back, self._put_back, **gentle),
        ]

    def clients(self) -> int:
        """Connections to it, but for our own."""
        return len(self._client.client_list()) - 1

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        self._process = subprocess.Popen(self._server.process.args)
        while True:
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

    def _hold(self) -> None:
        self._held = {key: self._client.get(key) or b"" for key in self._client.keys("*:response:*")}

    def _put_back(self) -> None:
        """As one does that was away: what it held then is what it holds."""
        with self._client.pipeline(transaction=False) as pipeline:
            for key, value in self._held.items():
                pipeline.set(key, value, ex=3600)
            pipeline.execute()


@contextmanager
def redis_of_our_own() -> Iterator[Redis]:
    with redis_server() as server, Proxy(server.url) as proxy:
        ours = Redis(server, proxy)
        try:
            yield ours
        finally:
            ours.close()


class Faults:
    """Which fault is on."""

    def __init__(self, faults: list[Fault], pace: float) -> None:
        """pace: how much faster than usual they come and go."""
        self.now = ""
        self.seconds: dict[str, float] = {fault.name: 0.0 for fault in faults}
        self._faults = faults
        self._pace = pace

    async def come_and_go(self, ends_at: float) -> None:
        faults: list[Fault] = []
        while time.monotonic() < ends_at:
            faults = faults or random.sample(self._faults, len(self._faults))
            await asyncio.sleep(random.uniform(*CALM_SECONDS) / self._pace)
            await self._let(faults.pop(), ends_at)

    async def _let(self, fault: Fault, ends_at: float) -> None:
        until = min(ends_at, time.monotonic() + random.uniform(*fault.lasts) / self._pace)
        # Threads: to wait for Redis here would keep the readers waiting.
        await asyncio.to_thread(fault.begin)
        self.now, since = fault.name, time.monotonic()
        try:
            while (left := until - time.monotonic()) > 0:
                await asyncio.sleep(min(left, AGAIN_SECONDS))
                await asyncio.to_thread(fault.again)
        finally:
            fault.end()
            self.now = ""
            self.seconds[fault.name] += time.monotonic() - since
