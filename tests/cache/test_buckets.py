"""Token buckets, in memory and in Redis."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.buckets import MAX_BUCKETS, Buckets, Rate
from cache.redis import SharedCache
from tests.proxy import Proxy
from tests.waiting import eventually

RATE = Rate(capacity=10, per_second=2)
_numbers = itertools.count()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["memory", "redis"])
async def buckets(request: pytest.FixtureRequest) -> AsyncIterator[Buckets]:
    shared = SharedCache(request.getfixturevalue("redis_url")) if request.param == "redis" else None
    yield Buckets(shared)
    if shared is not None:
        await shared.close()


@pytest.fixture
def key() -> str:
    return f"test:{next(_numbers)}"


async def test_a_bucket_empties(buckets: Buckets, key: str) -> None:
    levels = [await buckets.take(key, 4, RATE) for _ in range(3)]
    assert [level.allowed for level in levels] == [True, True, False]
    assert [round(level.remaining) for level in levels] == [6, 2, 2]
    assert levels[2].retry_after == pytest.approx(1, abs=0.1)
    assert levels[2].full_in == pytest.approx(4, abs=0.1)
    assert (await buckets.level("other" + key, RATE)).remaining == 10


async def test_a_bucket_refills(buckets: Buckets, key: str) -> None:
    quick = Rate(capacity=10, per_second=100)
    await buckets.take(key, 10, quick)
    assert not (await buckets.take(key, 10, quick)).allowed

    async def is_full() -> bool:
        return (await buckets.level(key, quick)).remaining == 10

    await eventually(is_full)
    assert (await buckets.take(key, 10, quick)).allowed


async def test_more_points_than_the_capacity_are_never_allowed(buckets: Buckets, key: str) -> None:
    level = await buckets.take(key, 11, RATE)
    assert (level.allowed, level.retry_after, level.remaining) == (False, None, 10)


async def test_refunds_do_not_overfill_a_bucket(buckets: Buckets, key: str) -> None:
    await buckets.take(key, 9, RATE)
    buckets.give_back(key, 4, RATE)
    assert (await buckets.level(key, RATE)).remaining == pytest.approx(5, abs=0.5)
    buckets.give_back(key, 100, RATE)
    assert (await buckets.level(key, RATE)).remaining == 10


async def test_concurrent_requests_get_no_more_than_there_is(redis_url: str, key: str) -> None:
    slow = Rate(capacity=50, per_second=0.001)
    shared = [SharedCache(redis_url, timeout_seconds=2) for _ in range(2)]
    several = [Buckets(cache) for cache in shared]
    levels = await asyncio.gather(*(several[number % 2].take(key, 1, slow) for number in range(200)))
    assert sum(level.allowed for level in levels) == 50
    for cache in shared:
        await cache.close()


@pytest.fixture
async def two(redis_url: str) -> AsyncIterator[list[Buckets]]:
    """Two processes that share a Redis."""
    shared = [SharedCache(redis_url, timeout_seconds=2) for _ in range(2)]
    yield [Buckets(cache) for cache in shared]
    for cache in shared:
        await cache.close()


async def test_a_full_bucket_is_spent_locally_and_synced_to_redis(two: list[Buckets], key: str) -> None:
    spender, other = two
    large = Rate(capacity=1_000, per_second=0.001)
    await spender.take(key, 100, large)
    assert [round((await spender.take(key, 4, large)).remaining) for _ in range(2)] == [896, 892]
    spender.give_back(key, 1, large)
    assert round((await other.level(key, large)).remaining) == 900

    async def is_synced() -> bool:
        return round((await other.level(key, large)).remaining) == 893

    await eventually(is_synced)
    # level() syncs what was spent locally before, and returns what is left in Redis.
    await other.take(key, 3, large)
    await spender.take(key, 2, large)
    assert round((await spender.level(key, large)).remaining) == 891
    assert round((await other.level(key, large)).remaining) == 888


async def test_local_spending_never_exceeds_the_capacity(two: list[Buckets], key: str) -> None:
    large = Rate(capacity=1_000, per_second=0.001)
    allowed = 0
    for number in range(600):
        levels = await asyncio.gather(*(two[number % 2].take(key, 1, large) for _ in range(5)))
        allowed += sum(level.allowed for level in levels)
    assert allowed == 1_000


async def test_without_a_working_redis_the_bucket_is_in_memory(redis_url: str, key: str) -> None:
    with Proxy(redis_url) as proxy:
        shared = SharedCache(proxy.url)
        buckets = Buckets(shared)
        assert (await buckets.take(key, 1, RATE)).allowed
        proxy.hang()
        levels = [await buckets.take(key, 1, RATE) for _ in range(12)]
        assert [level.allowed for level in levels].count(True) == 10
        await shared.close()


async def test_a_flood_of_keys_takes_no_more_memory() -> None:
    buckets = Buckets(None)
    for number in range(MAX_BUCKETS + 100):
        await buckets.take(str(number), 1, RATE)
    assert len(buckets._memory) == MAX_BUCKETS
    buckets._memory.clear()
    await buckets.level("full", RATE)
    assert not buckets._memory


@given(st.lists(st.tuples(st.floats(0, 12), st.floats(-5, 11)), max_size=30))
def test_a_bucket_behaves_like_its_model(moves: list[tuple[float, float]]) -> None:
    """moves: seconds that pass, and points that are then taken, or refunded."""
    clock = Clock()
    buckets = Buckets(None, clock=clock)
    left = RATE.capacity

    async def play() -> None:
        nonlocal left
        for seconds, points in moves:
            clock.now += seconds
            left = min(RATE.capacity, left + seconds * RATE.per_second)
            level = await buckets.take("key", points, RATE)
            assert level.allowed == (points <= left + 1e-9) or abs(points - left) < 1e-6
            left = min(RATE.capacity, left - points) if level.allowed else left
            assert level.remaining == pytest.approx(left, abs=1e-6)

    asyncio.run(play())
