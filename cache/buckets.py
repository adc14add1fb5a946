"""Token buckets: how much of something each of many may use, and how fast it comes back.

In Redis, where processes share one bucket, by its clock; in this process, where Redis is missing or unwell.

The way to Redis takes longer than an answer that is kept, so nobody goes it who has plenty: of a bucket that is half
full, as Redis told a moment ago, each process spends a hundredth on trust, and tells of it soon. With another hundredth
on its way to Redis, 25 processes that do so at once spend no more than there is; where less is left, Redis decides over
each point.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cache.answers import PREFIX
from cache.redis import SharedCache

# In memory. Those that are full say nothing, and go first.
MAX_BUCKETS = 50_000
# Shares of what a bucket holds.
PLENTY, ON_TRUST = 0.5, 0.01
TRUSTED_SECONDS, TOLD_WITHIN_SECONDS = 1.0, 0.05

# KEYS: the bucket. ARGV: capacity, points a second, points wanted (0: only looked at), points that were spent on trust
# (less than 0: given back). Answers whether those that are wanted were there, and what is left.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local capacity, rate, wanted, spent = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local kept = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = tonumber(kept[1]) or capacity
local at = tonumber(kept[2]) or now
left = math.min(capacity, left + math.max(0, now - at) * rate)
left = math.max(0, math.min(capacity, left - spent))
local allowed = wanted <= left
if allowed then left = left - wanted end
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


@dataclass(slots=True)
class _Trust:
    """What was left when Redis told last. spent: since then, and not told yet."""

    left: float = 0.0
    told_at: float = 0.0
    spent: float = 0.0
    is_to_be_told: bool = False

    def remaining(self, now: float, rate: Rate) -> float:
        """What is left by now; nothing where that was told too long ago."""
        age = now - self.told_at
        return min(rate.capacity, self.left + age * rate.per_second - self.spent) if age <= TRUSTED_SECONDS else 0.0


class Buckets:
    def __init__(self, shared: SharedCache | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._clock = clock
        # What is left, and when that was so; the least recently used first.
        self._memory: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._trusted: OrderedDict[str, _Trust] = OrderedDict()
        self._telling: set[asyncio.Task[Level]] = set()

    async def take(self, key: str, points: float, rate: Rate) -> Level:
        """Take so many points, if they are there."""
        trust = self._trusted.get(key)
        if trust is not None and trust.spent + points <= ON_TRUST * rate.capacity:
            left = trust.remaining(self._clock(), rate) - points
            if left >= PLENTY * rate.capacity:
                self._spend(key, trust, points, rate)
                return _level(points, rate, True, left)
        return await self._asked(key, points, rate)

    async def look(self, key: str, rate: Rate) -> Level:
        return await self._asked(key, 0, rate)

    def give_back(self, key: str, points: float, rate: Rate) -> None:
        """Soon, without anybody waiting for it."""
        if self._shared is None:
            self._moved_here(key, -points, rate)
        else:
            self._spend(key, self._trust_of(key), -points, rate)

    def _spend(self, key: str, trust: _Trust, points: float, rate: Rate) -> None:
        trust.spent += points
        if not trust.is_to_be_told:
            trust.is_to_be_told = True
            asyncio.get_running_loop().call_later(TOLD_WITHIN_SECONDS, self._tell, key, trust, rate)

    def _tell(self, key: str, trust: _Trust, rate: Rate) -> None:
        trust.is_to_be_told = False
        if trust.spent:
            telling = asyncio.get_running_loop().create_task(self._asked(key, 0, rate, trust))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    def _trust_of(self, key: str) -> _Trust:
        trust = self._trusted.setdefault(key, _Trust())
        self._trusted.move_to_end(key)
        if len(self._trusted) > MAX_BUCKETS:
            self._trusted.popitem(last=False)
        return trust

    async def _asked(self, key: str, points: float, rate: Rate, trust: _Trust | None = None) -> Level:
        """What Redis says, which is told what was spent on trust; or what this process knows."""
        if self._shared is not None:
            trust = trust or self._trust_of(key)
            spent, trust.spent = trust.spent, 0.0
            answer = await self._shared.run(SCRIPT, _named(key), *_arguments(points, spent, rate))
            if answer is not None:
                trust.left, trust.told_at = float(answer[1]), self._clock()
                return _level(points, rate, bool(answer[0]), trust.left)
            trust.left = 0.0
            self._moved_here(key, spent, rate)
        return _level(points, rate, *self._moved_here(key, points, rate))

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


def _arguments(points: float, spent: float, rate: Rate) -> tuple[str, str, str, str]:
    return f"{rate.capacity:.6f}", f"{rate.per_second:.6f}", f"{points:.6f}", f"{spent:.6f}"
