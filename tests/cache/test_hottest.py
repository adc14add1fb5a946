"""The most frequent requests: counted by all servers together, bounded, and dropped when they are no longer sent."""

import json
from collections.abc import AsyncIterator

import pytest
import redis

from cache import hottest
from cache.hottest import AGED_KEY, HALF_LIFE_SECONDS, KEY, MAX_REQUEST_BYTES, MAX_STORED, TTL_SECONDS, Hottest
from cache.link import CacheUnavailable
from cache.redis import SharedCache


@pytest.fixture
async def shared(redis_url: str) -> AsyncIterator[SharedCache]:
    cache = SharedCache(redis_url)
    await cache.delete_matching(f"{KEY}*")
    yield cache
    await cache.delete_matching(f"{KEY}*")
    await cache.close()


@pytest.fixture
def scores(redis_url: str, shared: SharedCache) -> "Scores":
    return Scores(redis_url)


class Scores:
    """The stored counts, read directly from Redis."""

    def __init__(self, url: str) -> None:
        self._url = url

    def now(self) -> dict[bytes, float]:
        with redis.Redis.from_url(self._url) as observer:
            return {request: round(score, 3) for request, score in observer.zrange(KEY, 0, -1, withscores=True)}

    def age(self, seconds: float) -> None:
        """As if the last record had been made so much earlier."""
        with redis.Redis.from_url(self._url) as observer:
            observer.set(AGED_KEY, int(observer.get(AGED_KEY)) - round(seconds))

    def remaining(self) -> int:
        with redis.Redis.from_url(self._url) as observer:
            return int(observer.ttl(KEY))


async def test_servers_count_together(shared: SharedCache, redis_url: str, scores: Scores) -> None:
    other = SharedCache(redis_url)
    await Hottest(shared).record({b"a": 3, b"b": 4})
    await Hottest(other).record({b"a": 3, b"c": 1})
    assert await Hottest(shared).requests() == [b"a", b"b", b"c"]
    assert scores.now() == {b"a": 6, b"b": 4, b"c": 1}
    assert TTL_SECONDS - 10 < scores.remaining() <= TTL_SECONDS
    await other.close()


async def test_requests_that_are_no_longer_sent_are_dropped(shared: SharedCache, scores: Scores) -> None:
    ours = Hottest(shared)
    await ours.record({b"old": 100, b"older": 1})
    scores.age(HALF_LIFE_SECONDS)
    await ours.record({b"new": 60})
    assert await ours.requests() == [b"new", b"old", b"older"]
    assert scores.now() == pytest.approx({b"new": 60, b"old": 50, b"older": 0.5}, rel=0.01)
    scores.age(3 * HALF_LIFE_SECONDS)
    # A record without requests ages the counts as well.
    await ours.record({})
    assert scores.now() == pytest.approx({b"new": 7.5, b"old": 6.25}, rel=0.01)


async def test_storage_and_result_are_bounded(shared: SharedCache, scores: Scores) -> None:
    ours = Hottest(shared)
    for first in range(1, MAX_STORED + 200, hottest.MAX_RETURNED):
        await ours.record({b"%d" % number: number for number in range(first, first + hottest.MAX_RETURNED)})
    assert len(scores.now()) == MAX_STORED
    returned = await ours.requests()
    assert len(returned) == hottest.MAX_RETURNED
    assert min(map(int, returned)) > min(map(int, scores.now())) > 1


async def test_of_many_requests_the_hottest_are_recorded(shared: SharedCache, scores: Scores) -> None:
    await Hottest(shared).record({b"%d" % number: number for number in range(1, 1_000)})
    assert sorted(map(int, scores.now())) == list(range(800, 1_000))


async def test_long_requests_are_not_recorded(shared: SharedCache, scores: Scores) -> None:
    await Hottest(shared).record({b"x" * MAX_REQUEST_BYTES: 1, b"y" * (MAX_REQUEST_BYTES + 1): 9})
    assert list(scores.now()) == [b"x" * MAX_REQUEST_BYTES]


async def test_any_bytes_are_stored_unchanged(shared: SharedCache) -> None:
    request = json.dumps({"query": '{ a(b: "\u2028\\n") }'}, ensure_ascii=False).encode() + b"\x00\xff"
    await Hottest(shared).record({request: 1})
    assert await Hottest(shared).requests() == [request]


async def test_an_unreachable_redis_raises() -> None:
    cache = SharedCache("redis://127.0.0.1:1/0")
    with pytest.raises(CacheUnavailable):
        await Hottest(cache).record({b"a": 1})
    with pytest.raises(CacheUnavailable):
        await Hottest(cache).requests()
    await cache.close()
