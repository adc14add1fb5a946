"""The requests that clients send most, counted by all servers in Redis, so that new servers can warm their caches.

Counts are halved every few hours, so that requests that are no longer sent disappear.
"""

from collections.abc import Mapping

from cache.redis import PREFIX, SharedCache

KEY = f"{PREFIX}:hottest"
AGED_KEY = f"{KEY}:aged"
# Longer requests are not recorded.
MAX_REQUEST_BYTES = 4_096
MAX_RETURNED = 200
# More than are returned: a new request has to stay until it has been counted for a while.
MAX_STORED = 500
HALF_LIFE_SECONDS = 6 * 3_600
MIN_SCORE = 0.1
TTL_SECONDS = 7 * 24 * 3_600

# By the clock of Redis, and atomic: servers record independently, and nothing is counted or aged twice.
_RECORD = """
local now = tonumber(redis.call('TIME')[1])
local aged = tonumber(redis.call('GET', KEYS[2])) or now
local half_life, min_score, max_stored, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
redis.call('ZUNIONSTORE', KEYS[1], 1, KEYS[1], 'WEIGHTS', 0.5 ^ (math.max(0, now - aged) / half_life))
for place = 5, #ARGV, 2 do
    redis.call('ZINCRBY', KEYS[1], ARGV[place], ARGV[place + 1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. min_score)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -max_stored - 1)
redis.call('EXPIRE', KEYS[1], ttl)
redis.call('SET', KEYS[2], now, 'EX', ttl)
"""


class Hottest:
    """Requests as bytes, in any format."""

    def __init__(self, shared: SharedCache) -> None:
        self._shared = shared

    async def record(self, counts: Mapping[bytes, int]) -> None:
        """Add how often each request was sent since the last call. Raises CacheUnavailable."""
        short = [(count, request) for request, count in counts.items() if len(request) <= MAX_REQUEST_BYTES]
        hottest = sorted(short, reverse=True)[:MAX_RETURNED]
        limits = (str(HALF_LIFE_SECONDS), str(MIN_SCORE), MAX_STORED, TTL_SECONDS)
        parts = [part for pair in hottest for part in pair]
        await self._shared.execute("EVAL", _RECORD, 2, KEY, AGED_KEY, *limits, *parts)

    async def requests(self) -> list[bytes]:
        """The hottest requests, the most frequent first. Raises CacheUnavailable."""
        found: list[bytes] = await self._shared.execute("ZREVRANGE", KEY, 0, MAX_RETURNED - 1)
        return found
