"""Which requests are asked most, told by all servers and remembered in Redis, so that new servers can ask them first.

What was asked counts half after some hours, and less and less: what nobody asks any more goes.
"""

from collections.abc import Mapping

from cache.answers import PREFIX
from cache.redis import SharedCache

KEY = f"{PREFIX}:hottest"
AGED_KEY = f"{KEY}:aged"
# Longer requests are not recorded.
MAX_REQUEST_BYTES = 4_096
MOST_TOLD = 200
# More than are told: those who come up have to stay until they have been counted for a while.
MOST_KEPT = 500
HALF_LIFE_SECONDS = 6 * 3_600
LEAST_SCORE = 0.1
KEPT_SECONDS = 7 * 24 * 3_600

# By the clock of Redis, and at once: servers come as they like, and nothing is counted or aged twice.
_TELL = """
local now = tonumber(redis.call('TIME')[1])
local aged = tonumber(redis.call('GET', KEYS[2])) or now
local half_life, least, most, kept = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
redis.call('ZUNIONSTORE', KEYS[1], 1, KEYS[1], 'WEIGHTS', 0.5 ^ (math.max(0, now - aged) / half_life))
for place = 5, #ARGV, 2 do
    redis.call('ZINCRBY', KEYS[1], ARGV[place], ARGV[place + 1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. least)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -most - 1)
redis.call('EXPIRE', KEYS[1], kept)
redis.call('SET', KEYS[2], now, 'EX', kept)
"""


class Hottest:
    """Requests as bytes, whatever they mean."""

    def __init__(self, shared: SharedCache) -> None:
        self._shared = shared

    async def tell(self, asked: Mapping[bytes, int]) -> None:
        """Say how often requests were asked since the last time. Raises CacheUnavailable."""
        counts = [(count, request) for request, count in asked.items() if len(request) <= MAX_REQUEST_BYTES]
        hottest = sorted(counts, reverse=True)[:MOST_TOLD]
        limits = (str(HALF_LIFE_SECONDS), str(LEAST_SCORE), MOST_KEPT, KEPT_SECONDS)
        parts = [part for pair in hottest for part in pair]
        await self._shared.unhurriedly("EVAL", _TELL, 2, KEY, AGED_KEY, *limits, *parts)

    async def requests(self) -> list[bytes]:
        """The hottest, first the one that was asked most. Raises CacheUnavailable."""
        found: list[bytes] = await self._shared.unhurriedly("ZREVRANGE", KEY, 0, MOST_TOLD - 1)
        return found
