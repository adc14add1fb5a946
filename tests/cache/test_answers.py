"""The answer cache: what is stored, and that no answer older than a change is served, in any order of events.

Each Process stands for a server process with a change feed and a cache of its own; they share a real Redis.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio

from cache import answers
from cache.answers import AnswerCache, CachedQuery, Computed, Source
from cache.change_feed import ChangeFeed
from cache.changes import Snapshot, Tag
from cache.entries import Entry
from cache.redis import SharedCache
from cache.tiers import Tier
from tests.waiting import eventually

HOME = "test"
BTC = CachedQuery(
    "response:-:BTC:1", frozenset([Tag("market_data", "BTC"), Tag("cryptocurrencies", "BTC")]), Tier.SHORT, False
)
ETH = CachedQuery("response:-:ETH:2", frozenset([Tag("market_data", "ETH")]), Tier.LONG, False)


class Data:
    """Stands for the database: a number, and the snapshot in which it is read."""

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

    async def has_been_read(self, reads: int = 1) -> None:
        await eventually(lambda: self.reads >= reads)


class Process:
    def __init__(self, shared: SharedCache | None = None, **settings: Any) -> None:
        self.feed = ChangeFeed()
        self.cache = AnswerCache(self.feed, shared, **settings)
        self.feed.on_resync(HOME, "1:1:")
        # There are no heartbeats here, without which the feed would be trusted for some seconds only.
        self.feed.changes.confirm(time.monotonic() + 600)

    async def ask(self, data: Data, query: CachedQuery = BTC) -> tuple[int, Source]:
        entry, source = await self.cache.get(query, data.read)
        return int(entry.body), source

    async def find_shared(self) -> Entry | None:
        return await self.cache.find_shared(BTC.key, BTC.tags)

    def change(self, transaction: int, *members: str, table: str | None = "market_data") -> None:
        self.feed.on_change(transaction, table, members or None)


@pytest.fixture
def data() -> Data:
    return Data()


@pytest.fixture
async def process(redis_url: str) -> AsyncIterator[Callable[..., Process]]:
    """Makes processes that share an empty Redis, with a timeout that suffices on a busy machine."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()
    made: list[Process] = []

    def make(**settings: Any) -> Process:
        made.append(Process(SharedCache(redis_url, timeout_seconds=5), **settings))
        return made[-1]

    yield make
    for process in made:
        await process.cache.close()


@pytest.fixture
def alone() -> Process:
    """A process without Redis."""
    return Process()


async def stored(redis_url: str, count: int = 1) -> None:
    """Wait until so many answers are in Redis, and no claims."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:

        async def are_stored() -> bool:
            keys = await client.keys("*")
            return len(keys) == count and not any(b"claim" in key for key in keys)

        await eventually(are_stored)


async def test_the_second_answer_comes_from_memory(alone: Process, data: Data) -> None:
    assert [await alone.ask(data) for _ in range(3)] == [(1, Source.MISS), (1, Source.MEMORY), (1, Source.MEMORY)]
    stats = alone.cache.stats[Tier.SHORT]
    assert (data.reads, stats.memory_hits, stats.misses) == (1, 2, 1)


async def test_another_process_finds_the_answer_in_redis(process: Any, data: Data, redis_url: str) -> None:
    first, second = process(), process()
    assert await first.ask(data) == (1, Source.MISS)
    await stored(redis_url)
    assert [await second.ask(data) for _ in range(2)] == [(1, Source.REDIS), (1, Source.MEMORY)]
    assert data.reads == 1


async def test_the_next_read_sees_a_change(process: Any, data: Data, redis_url: str) -> None:
    first, second = process(), process()
    for reader in (first, second):
        await reader.ask(data)
        await stored(redis_url)
    transaction = data.write()
    for reader in (first, second):
        reader.change(transaction, "BTC")
    assert await first.ask(data) == (2, Source.MISS)
    await stored(redis_url)
    assert await second.ask(data) == (2, Source.REDIS)


async def test_changes_of_other_rows_leave_an_answer_in_the_cache(alone: Process, data: Data) -> None:
    await alone.ask(data)
    alone.change(data.write(), "ETH", "SOL")
    alone.change(data.write(), "BTC", table="signals")
    assert (await alone.ask(data))[1] is Source.MEMORY
    alone.change(data.write())
    assert (await alone.ask(data))[1] is Source.MISS


@pytest.mark.parametrize("received", ["before the read ends", "after it is stored", "never, by the reader"])
async def test_a_reader_that_races_a_writer_leaves_no_stale_answer(
    process: Any, data: Data, redis_url: str, received: str
) -> None:
    """The reader reads, the writer commits, and the reader stores what it has read, in each order of events."""
    reader, other = process(), process()
    data.hold = asyncio.Event()
    reading = asyncio.create_task(reader.ask(data))
    await data.has_been_read()
    transaction = data.write()
    other.change(transaction, "BTC")
    if received == "before the read ends":
        reader.change(transaction, "BTC")
    data.hold.set()
    assert (await reading)[0] == 1
    await stored(redis_url, 0 if received == "before the read ends" else 1)
    if received == "after it is stored":
        reader.change(transaction, "BTC")
    data.hold = None
    assert await other.ask(data) == (2, Source.MISS)
    if received != "never, by the reader":
        assert (await reader.ask(data))[0] == 2


async def test_an_answer_that_has_seen_a_change_survives_its_announcement(alone: Process, data: Data) -> None:
    transaction = data.write()
    await alone.ask(data)
    alone.change(transaction, "BTC")
    assert await alone.ask(data) == (2, Source.MEMORY)


async def test_a_request_after_a_change_does_not_join_an_earlier_computation(alone: Process, data: Data) -> None:
    data.hold = asyncio.Event()
    early = asyncio.create_task(alone.ask(data))
    await data.has_been_read()
    alone.change(data.write(), "BTC")
    late = asyncio.create_task(alone.ask(data))
    await data.has_been_read(2)
    data.hold.set()
    assert [(await early)[0], (await late)[0]] == [1, 2]
    assert await alone.ask(data) == (2, Source.MEMORY)


async def test_five_hundred_concurrent_requests_are_one_computation(process: Any, data: Data) -> None:
    processes = [process() for _ in range(3)]
    data.hold = asyncio.Event()
    asking = [asyncio.create_task(processes[number % 3].ask(data)) for number in range(500)]
    await data.has_been_read()
    data.hold.set()
    assert {value for value, _ in await asyncio.gather(*asking)} == {1}
    assert data.reads == 1


async def test_followers_go_on_when_the_leader_is_cancelled(alone: Process, data: Data) -> None:
    data.hold = asyncio.Event()
    asking = [asyncio.create_task(alone.ask(data)) for _ in range(3)]
    await data.has_been_read()
    asking[0].cancel()
    await data.has_been_read(2)
    data.hold.set()
    assert [value for value, _ in await asyncio.gather(*asking[1:])] == [1, 1]
    assert data.reads == 2


async def test_the_claim_of_a_process_that_died_delays_others_only_briefly(process: Any, data: Data) -> None:
    dead, alive = process(), process()
    claim = dead.cache._redis_key(f"claim:{BTC.key}")
    assert await dead.cache.shared.claim(claim, answers.CLAIM_SECONDS)
    began = time.monotonic()
    assert await alive.ask(data) == (1, Source.MISS)
    assert answers.MAX_WAIT_SECONDS <= time.monotonic() - began < answers.MAX_WAIT_SECONDS + 0.5


async def test_an_error_reaches_all_waiting_requests_and_is_not_stored(alone: Process, data: Data) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def fail() -> str:
        assert not begun.is_set(), "the second request waits for the first"
        begun.set()
        await release.wait()
        return "an error"

    waiting = [asyncio.create_task(alone.cache.get(BTC, fail)) for _ in range(2)]
    await begun.wait()
    release.set()
    assert await asyncio.gather(*waiting) == [("an error", Source.BYPASS)] * 2
    assert await alone.ask(data) == (1, Source.MISS)


async def compute_large_answer() -> Computed:
    return Computed(bytes(answers.MAX_ANSWER_BYTES + 1), "9:9:", Tier.SHORT, 300)


async def test_an_answer_that_is_too_large_is_not_stored(alone: Process) -> None:
    for _ in range(2):
        assert (await alone.cache.get(BTC, compute_large_answer))[1] is Source.BYPASS


async def test_other_processes_do_not_wait_for_an_answer_that_cannot_be_stored(
    process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches = [process().cache for _ in range(4)]
    for cache in caches:
        await cache.get(BTC, compute_large_answer)
    # Longer than the deadline below: a process that waits for another one does not give up before it.
    monkeypatch.setattr(answers, "CLAIM_SECONDS", 60)
    monkeypatch.setattr(answers, "MAX_WAIT_SECONDS", 60)
    all_compute = asyncio.Barrier(len(caches))

    async def compute() -> Computed:
        await all_compute.wait()
        return await compute_large_answer()

    async with asyncio.timeout(10):
        await asyncio.gather(*(cache.get(BTC, compute) for cache in caches))


async def test_nothing_is_served_from_the_cache_while_the_feed_is_disconnected(alone: Process, data: Data) -> None:
    await alone.ask(data)
    alone.feed.on_disconnect()
    data.write()
    assert [await alone.ask(data) for _ in range(2)] == [(2, Source.BYPASS)] * 2
    # The change in between was not received; the baseline shows that there was one.
    alone.feed.on_resync(HOME, "3:3:")
    assert [await alone.ask(data) for _ in range(2)] == [(2, Source.MISS), (2, Source.MEMORY)]
    # Without a change in between, answers stay.
    alone.feed.on_disconnect()
    alone.feed.on_resync(HOME, "3:3:")
    assert await alone.ask(data) == (2, Source.MEMORY)


async def test_an_answer_read_before_a_disconnect_is_not_served_after_it(process: Any, data: Data) -> None:
    reader = process()
    data.hold = asyncio.Event()
    reading = asyncio.create_task(reader.ask(data))
    await data.has_been_read()
    reader.feed.on_disconnect()
    data.write()
    reader.feed.on_resync(HOME, "3:3:")
    data.hold.set()
    assert (await reading)[0] == 1
    data.hold = None
    assert await reader.ask(data) == (2, Source.MISS)


async def test_answers_of_another_database_are_not_found(process: Any, data: Data, redis_url: str) -> None:
    reader = process()
    await reader.ask(data)
    await stored(redis_url)
    reader.feed.on_resync("restored", "1:1:")
    assert (await reader.ask(data))[1] is Source.MISS


async def test_an_answer_from_redis_is_dropped_if_the_database_changed_meanwhile(
    process: Any, data: Data, redis_url: str
) -> None:
    """The stored answer belongs to the old database."""
    reader = process()
    await reader.ask(data)
    await stored(redis_url)
    is_read, may_return = asyncio.Event(), asyncio.Event()
    get = reader.cache.shared.get

    async def get_slowly(key: str) -> bytes | None:
        value: bytes | None = await get(key)
        is_read.set()
        await may_return.wait()
        return value

    reader.cache.shared.get = get_slowly
    finding = asyncio.create_task(reader.find_shared())
    await is_read.wait()
    reader.feed.on_resync("restored", "1:1:")
    may_return.set()
    assert await finding is None


async def test_an_answer_read_in_another_database_is_not_stored(alone: Process, data: Data) -> None:
    data.hold = asyncio.Event()
    reading = asyncio.create_task(alone.ask(data))
    await data.has_been_read()
    alone.feed.on_resync("restored", "1:1:")
    data.hold.set()
    assert (await reading)[1] is Source.BYPASS
    assert alone.cache.find(BTC.key) is None


async def test_a_hot_answer_is_refreshed_before_it_expires(alone: Process, data: Data) -> None:
    await alone.ask(data)
    entry = alone.cache.find(BTC.key)
    assert entry is not None
    entry.refresh_at = 0.0
    data.value = 5
    data.hold = asyncio.Event()
    # No request waits for the refresh, and there is only one.
    assert [await alone.ask(data) for _ in range(3)] == [(1, Source.MEMORY)] * 3
    data.hold.set()
    await asyncio.gather(*alone.cache._refreshing.values())
    assert await alone.ask(data) == (5, Source.MEMORY)
    assert data.reads == 2


async def test_an_expired_answer_is_computed_again(alone: Process, data: Data) -> None:
    await alone.ask(data)
    entry = alone.cache.find(BTC.key)
    assert entry is not None
    entry.expires_at = time.monotonic()
    assert (await alone.ask(data))[1] is Source.MISS
    memory = alone.cache.memory
    assert memory.stats.entries == sum(memory.entries_by_tier.values()) == 1


async def test_answers_are_cleared_by_pattern(alone: Process, data: Data) -> None:
    for query in (BTC, ETH):
        await alone.ask(data, query)
    alone.feed.on_clear("*:BTC:*")
    assert [(await alone.ask(data, query))[1] for query in (BTC, ETH)] == [Source.MISS, Source.MEMORY]


@pytest.mark.parametrize("is_private", [False, True])
async def test_redis_stores_whether_an_answer_is_private(
    process: Any, data: Data, redis_url: str, is_private: bool
) -> None:
    first, second = process(), process()
    query = BTC._replace(is_private=is_private)
    assert (await first.cache.get(query, data.read))[0].is_private is is_private
    await stored(redis_url)
    assert (await second.find_shared()).is_private is is_private


async def test_invalid_values_in_redis_count_as_absent(process: Any, data: Data, redis_url: str) -> None:
    reader = process()
    valid = Entry.create(BTC.key, b"1", BTC.tags, Snapshot(9, frozenset()), Tier.SHORT, 300, is_private=False)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        for invalid in (
            b"",
            b"\n",
            b"1 2 3",
            b"2 x y SHORT public 1:1: e\n1",
            valid.serialize().replace(b"public", b"secret"),
            # The format before, which did not say whether an answer is private, and one of the future.
            b"1" + valid.serialize()[1:].replace(b" public", b""),
            b"3" + valid.serialize()[1:],
            bytes(1000),
        ):
            await client.set(reader.cache._redis_key(BTC.key), invalid)
            assert await reader.find_shared() is None
        await client.set(reader.cache._redis_key(BTC.key), valid.serialize())
        assert await reader.find_shared() is not None


async def test_without_memory_answers_come_from_redis(process: Any, data: Data, redis_url: str) -> None:
    reader = process(max_bytes=0)
    await reader.ask(data)
    await stored(redis_url)
    assert [await reader.ask(data) for _ in range(2)] == [(1, Source.REDIS)] * 2
