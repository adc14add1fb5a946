"""Answers by tiers: what is kept, and that nobody is served what is older than a change, in whatever order things go.

Each AnswerCache is a process of its own, as far as it knows; they share a real Redis.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio

from cache import answers
from cache.answers import AnswerCache, CachedQuery, Computed, Source
from cache.changes import Snapshot, Tag
from cache.redis import SharedCache
from cache.tiers import Tier

HOME = "test"
BTC = CachedQuery(
    "response:-:BTC:1", frozenset([Tag("market_data", "BTC"), Tag("cryptocurrencies", "BTC")]), Tier.SHORT
)
ETH = CachedQuery("response:-:ETH:2", frozenset([Tag("market_data", "ETH")]), Tier.LONG)


class Data:
    """What the database holds: a number, and the snapshot in which it is read."""

    def __init__(self) -> None:
        self.value, self.transaction, self.reads = 1, 1, 0
        self.hold: asyncio.Event | None = None

    def write(self) -> int:
        """Commit a change; return its transaction."""
        self.value, self.transaction = self.value + 1, self.transaction + 1
        return self.transaction

    async def read(self) -> Computed:
        self.reads += 1
        found = Computed(b"%d" % self.value, f"{self.transaction + 1}:{self.transaction + 1}:", Tier.SHORT, 300)
        if self.hold is not None:
            await self.hold.wait()
        return found


@pytest.fixture
def data() -> Data:
    return Data()


@pytest.fixture
async def process(redis_url: str) -> AsyncIterator[Callable[[], AnswerCache]]:
    """Makes processes that share a Redis with nothing in it, and wait for it on a busy machine too."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()
    made: list[AnswerCache] = []

    def make(**settings: Any) -> AnswerCache:
        cache = AnswerCache(SharedCache(redis_url, timeout_seconds=5), **settings)
        cache.on_resync(HOME, "1:1:")
        made.append(cache)
        return cache

    yield make
    for cache in made:
        await cache.close()


async def ask(cache: AnswerCache, data: Data, query: CachedQuery = BTC) -> tuple[int, Source]:
    entry, source = await cache.get(query, data.read)
    return int(entry.body), source


async def written(redis_url: str, count: int = 1) -> None:
    """Wait until so many answers are in Redis, and no claims."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        for _ in range(200):
            keys = await client.keys("*")
            if len(keys) == count and not any(b"claim" in key for key in keys):
                return
            await asyncio.sleep(0.005)
    raise AssertionError(keys)


def alone() -> AnswerCache:
    cache = AnswerCache()
    cache.on_resync(HOME, "1:1:")
    return cache


async def test_the_second_answer_comes_from_memory(data: Data) -> None:
    cache = alone()
    assert [await ask(cache, data) for _ in range(3)] == [(1, Source.MISS), (1, Source.MEMORY), (1, Source.MEMORY)]
    assert (data.reads, cache.stats[Tier.SHORT].memory_hits, cache.stats[Tier.SHORT].misses) == (1, 2, 1)


async def test_another_process_finds_it_in_redis(process: Any, data: Data, redis_url: str) -> None:
    first, second = process(), process()
    assert await ask(first, data) == (1, Source.MISS)
    await written(redis_url)
    assert [await ask(second, data) for _ in range(2)] == [(1, Source.REDIS), (1, Source.MEMORY)]
    assert data.reads == 1


async def test_a_change_is_seen_by_the_next_read(process: Any, data: Data, redis_url: str) -> None:
    first, second = process(), process()
    for cache in (first, second):
        await ask(cache, data)
        await written(redis_url)
    transaction = data.write()
    for cache in (first, second):
        cache.on_change(transaction, "market_data", ["BTC"])
    assert await ask(first, data) == (2, Source.MISS)
    await written(redis_url)
    assert await ask(second, data) == (2, Source.REDIS)


async def test_changes_of_others_leave_it_alone(data: Data) -> None:
    cache = alone()
    await ask(cache, data)
    cache.on_change(data.write(), "market_data", ["ETH", "SOL"])
    cache.on_change(data.write(), "signals", ["BTC"])
    assert (await ask(cache, data))[1] is Source.MEMORY
    cache.on_change(data.write(), "market_data", None)
    assert (await ask(cache, data))[1] is Source.MISS


@pytest.mark.parametrize("heard", ["before the read ends", "after it is stored", "never, by the reader"])
async def test_a_reader_that_raced_a_writer_leaves_nothing_old_behind(
    process: Any, data: Data, redis_url: str, heard: str
) -> None:
    """The reader reads, the writer commits, and the reader stores what it has read, in each order of events."""
    reader, other = process(), process()
    data.hold = asyncio.Event()
    reading = asyncio.create_task(ask(reader, data))
    await asyncio.sleep(0.02)
    transaction = data.write()
    other.on_change(transaction, "market_data", ["BTC"])
    if heard == "before the read ends":
        reader.on_change(transaction, "market_data", ["BTC"])
    data.hold.set()
    assert (await reading)[0] == 1
    await written(redis_url, 0 if heard == "before the read ends" else 1)
    if heard == "after it is stored":
        reader.on_change(transaction, "market_data", ["BTC"])
    data.hold = None
    assert await ask(other, data) == (2, Source.MISS)
    if heard != "never, by the reader":
        assert (await ask(reader, data))[0] == 2


async def test_an_answer_that_has_seen_a_change_outlives_its_announcement(data: Data) -> None:
    cache = alone()
    transaction = data.write()
    await ask(cache, data)
    cache.on_change(transaction, "market_data", ["BTC"])
    assert await ask(cache, data) == (2, Source.MEMORY)


async def test_nobody_joins_a_computation_that_began_before_a_change(data: Data) -> None:
    cache = alone()
    data.hold = asyncio.Event()
    early = asyncio.create_task(ask(cache, data))
    await asyncio.sleep(0)
    cache.on_change(data.write(), "market_data", ["BTC"])
    late = asyncio.create_task(ask(cache, data))
    await asyncio.sleep(0)
    data.hold.set()
    assert [(await early)[0], (await late)[0]] == [1, 2]
    assert await ask(cache, data) == (2, Source.MEMORY)


async def test_five_hundred_at_once_are_one_computation(process: Any, data: Data) -> None:
    caches = [process() for _ in range(3)]
    data.hold = asyncio.Event()
    asking = [asyncio.create_task(ask(caches[number % 3], data)) for number in range(500)]
    await asyncio.sleep(0.05)
    data.hold.set()
    assert {value for value, _ in await asyncio.gather(*asking)} == {1}
    assert data.reads == 1


async def test_who_computes_may_leave(data: Data) -> None:
    cache = alone()
    data.hold = asyncio.Event()
    asking = [asyncio.create_task(ask(cache, data)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0.01)
    data.hold.set()
    assert [value for value, _ in await asyncio.gather(*asking[1:])] == [1, 1]
    assert data.reads == 2


async def test_a_process_that_dies_with_a_claim_holds_nobody_up_for_long(process: Any, data: Data) -> None:
    dead, alive = process(), process()
    assert await dead.shared.claim(dead._stored_under(f"claim:{BTC.key}"), answers.CLAIM_SECONDS)
    began = time.monotonic()
    assert await ask(alive, data) == (1, Source.MISS)
    assert answers.PATIENCE_SECONDS <= time.monotonic() - began < answers.PATIENCE_SECONDS + 0.5


async def test_an_error_is_told_to_all_who_wait_and_not_kept(data: Data) -> None:
    cache = alone()

    async def fail() -> str:
        await asyncio.sleep(0)
        return "an error"

    assert await asyncio.gather(*(cache.get(BTC, fail) for _ in range(2))) == [("an error", Source.BYPASS)] * 2
    assert await ask(cache, data) == (1, Source.MISS)


async def test_what_is_too_large_is_not_kept() -> None:
    cache = alone()

    async def large() -> Computed:
        return Computed(bytes(answers.MAX_ANSWER_BYTES + 1), "9:9:", Tier.SHORT, 300)

    for _ in range(2):
        assert (await cache.get(BTC, large))[1] is Source.BYPASS


async def test_nothing_is_served_while_changes_are_not_heard(data: Data) -> None:
    cache = alone()
    await ask(cache, data)
    cache.on_disconnect()
    data.write()
    assert [await ask(cache, data) for _ in range(2)] == [(2, Source.BYPASS)] * 2
    # What was written meanwhile was not announced: the baseline tells.
    cache.on_resync(HOME, "3:3:")
    assert [await ask(cache, data) for _ in range(2)] == [(2, Source.MISS), (2, Source.MEMORY)]
    # Where nothing was, all may stay.
    cache.on_disconnect()
    cache.on_resync(HOME, "3:3:")
    assert await ask(cache, data) == (2, Source.MEMORY)


async def test_what_was_read_before_a_pause_is_not_kept_after_it(process: Any, data: Data, redis_url: str) -> None:
    cache = process()
    data.hold = asyncio.Event()
    reading = asyncio.create_task(ask(cache, data))
    await asyncio.sleep(0.02)
    cache.on_disconnect()
    data.write()
    cache.on_resync(HOME, "3:3:")
    data.hold.set()
    assert (await reading)[0] == 1
    data.hold = None
    assert await ask(cache, data) == (2, Source.MISS)


async def test_another_database_has_nothing_in_common(process: Any, data: Data, redis_url: str) -> None:
    cache = process()
    await ask(cache, data)
    await written(redis_url)
    cache.on_resync("restored", "1:1:")
    assert (await ask(cache, data))[1] is Source.MISS


async def test_a_hot_answer_is_made_anew_before_its_time_is_over(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = alone()
    await ask(cache, data)
    entry = cache.find(BTC.key)
    assert entry is not None
    entry.fades_at = 0.0
    data.value = 5
    data.hold = asyncio.Event()
    # Nobody waits for it, and it is made once.
    assert [await ask(cache, data) for _ in range(3)] == [(1, Source.MEMORY)] * 3
    data.hold.set()
    await asyncio.gather(*cache._refreshing.values())
    assert await ask(cache, data) == (5, Source.MEMORY)
    assert data.reads == 2


async def test_time_ends_an_answer(data: Data) -> None:
    cache = alone()
    await ask(cache, data)
    entry = cache.find(BTC.key)
    assert entry is not None
    entry.ends_at = time.monotonic()
    assert (await ask(cache, data))[1] is Source.MISS
    assert cache.memory.stats.entries == sum(cache.memory.entries_by_tier.values()) == 1


async def test_answers_are_cleared_by_pattern(data: Data) -> None:
    cache = alone()
    for query in (BTC, ETH):
        await ask(cache, data, query)
    cache.on_clear("*:BTC:*")
    assert [(await ask(cache, data, query))[1] for query in (BTC, ETH)] == [Source.MISS, Source.MEMORY]


async def test_what_redis_holds_may_be_anything(process: Any, data: Data, redis_url: str) -> None:
    cache = process()
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        for rubbish in (
            b"",
            b"\n",
            b"1 2 3",
            b"1 x y SHORT 1:1: e\n1",
            b"2 9999999999 300 SHORT 9:9: e\n1",
            bytes(1000),
        ):
            await client.set(cache._stored_under(BTC.key), rubbish)
            assert await cache.find_shared(BTC.key, BTC.tags) is None
    assert await ask(cache, data) == (1, Source.MISS)


async def test_without_memory_redis_answers(process: Any, data: Data, redis_url: str) -> None:
    cache = process(max_bytes=0)
    await ask(cache, data)
    await written(redis_url)
    assert [await ask(cache, data) for _ in range(2)] == [(1, Source.REDIS)] * 2


async def test_what_cannot_be_kept_is_waited_for_by_no_other_process(process: Any) -> None:
    caches = [process() for _ in range(4)]

    async def large() -> Computed:
        await asyncio.sleep(0.1)
        return Computed(bytes(answers.MAX_ANSWER_BYTES + 1), "9:9:", Tier.SHORT, 300)

    await asyncio.gather(*(cache.get(BTC, large) for cache in caches))
    began = time.monotonic()
    await asyncio.gather(*(cache.get(BTC, large) for cache in caches))
    assert time.monotonic() - began < 0.25


async def test_another_database_while_redis_is_asked(process: Any, data: Data, redis_url: str) -> None:
    """What is found there is the old one's."""
    cache = process()
    await ask(cache, data)
    await written(redis_url)
    looking = asyncio.create_task(cache.find_shared(BTC.key, BTC.tags))
    await asyncio.sleep(0)
    cache.on_resync("restored", "1:1:")
    assert await looking is None


async def test_what_was_read_in_another_database_is_not_kept(data: Data) -> None:
    cache = alone()
    data.hold = asyncio.Event()
    reading = asyncio.create_task(ask(cache, data))
    await asyncio.sleep(0)
    cache.on_resync("restored", "1:1:")
    data.hold.set()
    assert (await reading)[1] is Source.BYPASS
    assert cache.find(BTC.key) is None


def test_what_can_be_no_transaction_is_refused() -> None:
    cache = alone()
    with pytest.raises(ValueError, match="1000000000000000000"):
        cache.on_change(10**18, None, None)
    assert cache.changes.has_seen(Snapshot.read("9:9:"), BTC.tags)
