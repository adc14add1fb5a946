"""Token buckets: how much of something each of many may use, and how fast it comes back.

In Redis, where processes share one bucket, by its clock; in this process, where Redis is missing or unwell.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from cache.answers import PREFIX
from cache.redis import SharedCache

# In memory. Those that are full say nothing, and go first.
MAX_BUCKETS = 50_000

# KEYS: the bucket. ARGV: capacity, points a second, points wanted (less than 0: given back; 0: only looked at).
# Answers whether they were there, and what is left.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local capacity, rate, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = tonumber(kept[1]) or capacity
local at = tonumber(kept[2]) or now
left = math.min(capacity, left + math.max(0, now - at) * rate)
local allowed = wanted <= left
if allowed then left = math.min(capacity, left - wanted) end
if left >= capacity then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%.6f', now))
  redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - left) / rate * 1000) + 1000)
end
return {allowed and 1 or 0, string.format('%.6f', left)}
"""


class Rate(NamedTuple):
    capacity: float
    per_second: float


class Level(NamedTuple):
    """Of a bucket, after what was taken. retry_after: seconds until what was wanted is there; None: it never will be.

    full_in: seconds until it is full again.
    """

    allowed: bool
    remaining: float
    capacity: float
    retry_after: float | None
    full_in: float

    def with_more(self, points: float) -> "Level":
        """As it will be once so many points are given back."""
        missing = self.capacity - self.remaining
        more = min(points, missing)
        full_in = self.full_in * (1 - more / missing) if missing else 0.0
        return self._replace(remaining=self.remaining + more, full_in=full_in)


class Buckets:
    def __init__(self, shared: SharedCache | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._clock = clock
        # What is left, and when that was so; the least recently used first.
        self._memory: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def take(self, key: str, points: float, rate: Rate) -> Level:
        """Take so many points, if they are there."""
        return _level(points, rate, *await self._moved(key, points, rate))

    async def look(self, key: str, rate: Rate) -> Level:
        return await self.take(key, 0, rate)

    def give_back(self, key: str, points: float, rate: Rate) -> None:
        """Soon, without anybody waiting for it."""
        if self._shared is not None and self._shared.state == "closed":
            self._shared.run_later(SCRIPT, _named(key), *_arguments(-points, rate))
        else:
            self._moved_here(key, -points, rate)

    async def _moved(self, key: str, points: float, rate: Rate) -> tuple[bool, float]:
        if self._shared is not None:
            answer = await self._shared.run(SCRIPT, _named(key), *_arguments(points, rate))
            if answer is not None:
                return bool(answer[0]), float(answer[1])
        return self._moved_here(key, points, rate)

    def _moved_here(self, key: str, points: float, rate: Rate) -> tuple[bool, float]:
        now = self._clock()
        left, at = self._memory.pop(key, (rate.capacity, now))
        left = min(rate.capacity, left + max(0.0, now - at) * rate.per_second)
        allowed = points <= left
        if allowed:
            left = min(rate.capacity, left - points)
        if left < rate.capacity:
            self._memory[key] = left, now
            if len(self._memory) > MAX_BUCKETS:
                self._memory.popitem(last=False)
        return allowed, left


def _level(points: float, rate: Rate, allowed: bool, left: float) -> Level:
    wait = None if points > rate.capacity else max(0.0, (points - left) / rate.per_second)
    full_in = (rate.capacity - left) / rate.per_second
    return Level(allowed, left, rate.capacity, 0.0 if allowed else wait, full_in)


def _named(key: str) -> str:
    return f"{PREFIX}:bucket:{key}"


def _arguments(points: float, rate: Rate) -> tuple[str, str, str]:
    return f"{rate.capacity:.6f}", f"{rate.per_second:.6f}", f"{points:.6f}"
