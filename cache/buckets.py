"""Token buckets, which limit how much each client may use per unit of time.

In Redis, where processes share one bucket, by its clock; in this process, if Redis is missing or unavailable.

A round trip to Redis takes longer than serving a cached answer. So from a bucket that is at least half full, as of the
last sync less than a second ago, each process spends up to 1% of the capacity locally, and syncs it to Redis within
50 ms. Another 1% may be on its way to Redis, so 25 processes that spend locally at the same time never spend more than
there is; below half, Redis decides over each point.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cache.redis import PREFIX, SharedCache

# In memory. Full buckets are not stored, and the least recently used are dropped first.
MAX_BUCKETS = 50_000
# Shares of the capacity.
MIN_LEFT_FOR_LOCAL, MAX_SPENT_LOCALLY = 0.5, 0.01
LOCAL_SECONDS, SYNC_WITHIN_SECONDS = 1.0, 0.05

# KEYS: the bucket. ARGV: capacity, points a second, points wanted (0: only read the level), points spent locally before
# (less than 0: refunded). Returns whether the wanted points were there, and what is left.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local capacity, rate, wanted, spent = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local stored = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = tonumber(stored[1]) or capacity
local at = tonumber(stored[2]) or now
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
    """A bucket after points were taken. retry_after: seconds until the wanted points are there; None: never.

    full_in: seconds until it is full again.
    """

    allowed: bool
    remaining: float
    capacity: float
    retry_after: float | None
    full_in: float

    def with_more(self, points: float) -> "Level":
        """The level after this many points are given back."""
        missing = self.capacity - self.remaining
        more = min(points, missing)
        full_in = self.full_in * (1 - more / missing) if missing else 0.0
        return self._replace(remaining=self.remaining + more, full_in=full_in)


@dataclass(slots=True)
class _SyncState:
    """The points left at the last sync with Redis. spent: locally since then, and not synced yet."""

    left: float = 0.0
    synced_at: float = 0.0
    spent: float = 0.0
    is_sync_scheduled: bool = False

    def remaining(self, now: float, rate: Rate) -> float:
        """The points left now; 0 if the last sync is too long ago."""
        age = now - self.synced_at
        return min(rate.capacity, self.left + age * rate.per_second - self.spent) if age <= LOCAL_SECONDS else 0.0


class Buckets:
    def __init__(self, shared: SharedCache | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._clock = clock
        # Without Redis: what is left, and as of when; the least recently used first.
        self._memory: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._synced: OrderedDict[str, _SyncState] = OrderedDict()
        self._syncing: set[asyncio.Task[Level]] = set()

    async def take(self, key: str, points: float, rate: Rate) -> Level:
        """Take this many points, if they are there."""
        state = self._synced.get(key)
        if state is not None and state.spent + points <= MAX_SPENT_LOCALLY * rate.capacity:
            left = state.remaining(self._clock(), rate) - points
            if left >= MIN_LEFT_FOR_LOCAL * rate.capacity:
                self._spend_locally(key, state, points, rate)
                return _level(points, rate, True, left)
        return await self._take(key, points, rate)

    async def level(self, key: str, rate: Rate) -> Level:
        """The level as Redis has it, without taking anything."""
        return await self._take(key, 0, rate)

    def give_back(self, key: str, points: float, rate: Rate) -> None:
        """Refund points, without waiting for Redis."""
        if self._shared is None:
            self._take_from_memory(key, -points, rate)
        else:
            self._spend_locally(key, self._sync_state(key), -points, rate)

    def _spend_locally(self, key: str, state: _SyncState, points: float, rate: Rate) -> None:
        state.spent += points
        if not state.is_sync_scheduled:
            state.is_sync_scheduled = True
            asyncio.get_running_loop().call_later(SYNC_WITHIN_SECONDS, self._sync, key, state, rate)

    def _sync(self, key: str, state: _SyncState, rate: Rate) -> None:
        state.is_sync_scheduled = False
        if state.spent:
            syncing = asyncio.get_running_loop().create_task(self._take(key, 0, rate, state))
            self._syncing.add(syncing)
            syncing.add_done_callback(self._syncing.discard)

    def _sync_state(self, key: str) -> _SyncState:
        state = self._synced.setdefault(key, _SyncState())
        self._synced.move_to_end(key)
        if len(self._synced) > MAX_BUCKETS:
            self._synced.popitem(last=False)
        return state

    async def _take(self, key: str, points: float, rate: Rate, state: _SyncState | None = None) -> Level:
        """Take from the bucket in Redis, and sync what was spent locally; from memory, if Redis is unavailable."""
        if self._shared is not None:
            state = state or self._sync_state(key)
            spent, state.spent = state.spent, 0.0
            reply = await self._shared.run_script(SCRIPT, _redis_key(key), *_arguments(points, spent, rate))
            if reply is not None:
                state.left, state.synced_at = float(reply[1]), self._clock()
                return _level(points, rate, bool(reply[0]), state.left)
            state.left = 0.0
            self._take_from_memory(key, spent, rate)
        return _level(points, rate, *self._take_from_memory(key, points, rate))

    def _take_from_memory(self, key: str, points: float, rate: Rate) -> tuple[bool, float]:
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


def _redis_key(key: str) -> str:
    return f"{PREFIX}:bucket:{key}"


def _arguments(points: float, spent: float, rate: Rate) -> tuple[str, str, str, str]:
    return f"{rate.capacity:.6f}", f"{rate.per_second:.6f}", f"{points:.6f}", f"{spent:.6f}"
