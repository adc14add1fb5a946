"""The answer cache: answers by key, in this process's memory, then in Redis, else computed.

An answer is served only if its snapshot has seen every change that the change feed has received, so a tier may be late,
empty or wrong without serving anything older than a change. While the feed is disconnected, everything is computed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import structlog

from cache.answer_memory import AnswerMemory
from cache.change_feed import ChangeFeed
from cache.changes import Changes, Snapshot, Tag
from cache.entries import Entry
from cache.redis import PREFIX, CacheProbe, SharedCache
from cache.single_flight import SingleFlight
from cache.tiers import Tier, jittered

MAX_ANSWER_BYTES = 2**20
MAX_UNSTORABLE = 1_000
# How long a process may compute an answer that the others wait for, and how long each of them waits.
CLAIM_SECONDS = 1.0
MAX_WAIT_SECONDS = 0.5
FIRST_POLL_SECONDS = 0.005
log = structlog.get_logger("candlegraph.cache")


class Source(Enum):
    """The source of an answer. BYPASS: it was computed and could not be stored."""

    MEMORY = "hit-memory"
    REDIS = "hit-redis"
    MISS = "miss"
    BYPASS = "bypass"


class CachedQuery(NamedTuple):
    """A query as the cache sees it: the key of its answer, and what the answer depends on."""

    key: str
    tags: frozenset[Tag]
    tier: Tier
    is_private: bool


class Computed(NamedTuple):
    """An answer that may be stored for some seconds. snapshot: the text of the pg_snapshot that it was read in."""

    body: bytes
    snapshot: str
    tier: Tier
    seconds: float


Compute = Callable[[], Awaitable[Any]]


@dataclass
class TierStats:
    memory_hits: int = 0
    redis_hits: int = 0
    misses: int = 0


class AnswerCache:
    """is_enabled: whether callers use the cache; if not, they compute every answer themselves."""

    def __init__(
        self,
        feed: ChangeFeed,
        shared: SharedCache | None = None,
        *,
        max_bytes: int = 64 * 2**20,
        is_enabled: bool = True,
    ) -> None:
        self.is_enabled = is_enabled
        self.memory = AnswerMemory(max_bytes)
        self.shared = shared
        self.stats = {tier: TierStats() for tier in Tier}
        self._feed = feed
        self._single_flight = SingleFlight[tuple[Any, Source]]()
        feed.subscribe(self.memory)
        feed.subscribe(self._single_flight)
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        # Keys whose answers could not be stored when they were computed last: an error, or too large.
        self._unstorable: set[str] = set()

    async def get(self, query: CachedQuery, compute: Compute) -> tuple[Any, Source]:
        """The answer as an Entry; if it cannot be stored, whatever compute returned instead of a Computed."""
        entry = self.find(query.key)
        if entry is not None:
            if entry.needs_refresh:
                self._start_refresh(entry, query, compute)
            return entry, Source.MEMORY
        if not self._feed.changes.is_listening:
            return await self._compute(query, compute)
        return await self._single_flight.run(query.key, query.tags, lambda: self._load(query, compute))

    def find(self, key: str) -> Entry | None:
        """The answer from memory; a change drops the answers that it affects as soon as it is received."""
        entry = self.memory.find(key) if self._feed.changes.is_listening else None
        if entry is not None:
            self.stats[entry.tier].memory_hits += 1
        return entry

    async def find_shared(self, key: str, tags: frozenset[Tag]) -> Entry | None:
        """The answer from Redis, if it is there and has seen every change."""
        changes = self._feed.changes
        stored = None if self.shared is None else await self.shared.get(self._redis_key(key))
        entry = None if stored is None else Entry.deserialize(key, tags, stored)
        if entry is None or not self._is_current(entry, changes):
            return None
        self.memory.store(entry)
        self.stats[entry.tier].redis_hits += 1
        return entry

    async def probe(self) -> CacheProbe:
        """The state of Redis, within a bounded time."""
        return CacheProbe("memory") if self.shared is None else await self.shared.probe()

    async def close(self) -> None:
        for task in list(self._refreshing.values()):
            task.cancel()
        await asyncio.gather(*self._refreshing.values(), return_exceptions=True)
        if self.shared is not None:
            await self.shared.close()

    async def _load(self, query: CachedQuery, compute: Compute) -> tuple[Any, Source]:
        """From Redis, or computed by one process at a time."""
        if self.shared is None:
            return await self._compute(query, compute)
        entry = await self.find_shared(query.key, query.tags)
        if entry is not None:
            return entry, Source.REDIS
        if query.key in self._unstorable:
            # No other process would find the answer, so none should wait for it.
            return await self._compute(query, compute)
        claim = self._redis_key(f"claim:{query.key}")
        if not await self.shared.claim(claim, CLAIM_SECONDS):
            entry = await self._wait_for_claimant(query, claim)
            if entry is not None:
                return entry, Source.REDIS
        try:
            return await self._compute(query, compute)
        finally:
            self.shared.release(claim)

    async def _wait_for_claimant(self, query: CachedQuery, claim: str) -> Entry | None:
        """The answer that another process is computing; None if this process has to compute it after all."""
        assert self.shared is not None
        deadline, pause = time.monotonic() + MAX_WAIT_SECONDS, FIRST_POLL_SECONDS
        # Without the feed, the answer could not be trusted anyway.
        while self._feed.changes.is_listening and (left := deadline - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            pause *= 2
            entry = await self.find_shared(query.key, query.tags)
            if entry is not None or await self.shared.claim(claim, CLAIM_SECONDS):
                return entry
        return None

    async def _compute(self, query: CachedQuery, compute: Compute) -> tuple[Any, Source]:
        self.stats[query.tier].misses += 1
        changes = self._feed.changes
        found = await compute()
        if isinstance(found, Computed):
            found = Entry.create(
                query.key,
                found.body,
                query.tags,
                Snapshot.parse(found.snapshot),
                found.tier,
                jittered(found.seconds),
                is_private=query.is_private,
            )
            if len(found.body) <= MAX_ANSWER_BYTES and self._is_current(found, changes):
                self._store(found)
                return found, Source.MISS
        if len(self._unstorable) >= MAX_UNSTORABLE:
            self._unstorable.clear()
        self._unstorable.add(query.key)
        return found, Source.BYPASS

    def _store(self, entry: Entry) -> None:
        self._unstorable.discard(entry.key)
        self.memory.store(entry)
        if self.shared is not None:
            self.shared.put(self._redis_key(entry.key), entry.serialize(), entry.lifetime)

    def _is_current(self, entry: Entry, changes: Changes) -> bool:
        """Whether an answer has seen every change. changes: the log when it was computed; each home has its own."""
        return changes is self._feed.changes and changes.are_seen_by(entry.snapshot, entry.tags)

    def _start_refresh(self, entry: Entry, query: CachedQuery, compute: Compute) -> None:
        if query.key not in self._refreshing:
            entry.refresh_at = entry.expires_at
            self._refreshing[query.key] = asyncio.create_task(self._refresh(entry, query, compute))

    async def _refresh(self, entry: Entry, query: CachedQuery, compute: Compute) -> None:
        """Compute an answer again, unless another process just did."""
        try:
            newer = await self.find_shared(query.key, query.tags)
            if newer is None or newer.needs_refresh:
                await self._compute(query, compute)
        except Exception as error:
            log.warning("refresh_failed", key=entry.key, error=type(error).__name__)
        finally:
            del self._refreshing[query.key]

    def _redis_key(self, key: str) -> str:
        return f"{PREFIX}:{self._feed.home}:{key}"
