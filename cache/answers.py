"""Answers by tiers: this process's memory, then Redis, then whoever computes them.

What is found is served only if it has seen every change that this process was told of, so a tier may be late, empty or
wrong, and nobody is served what is older than a change. While changes cannot be heard, everything is computed.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import structlog

from cache.answer_memory import AnswerMemory
from cache.changes import Change, Changes, Snapshot, Tag
from cache.entries import Entry
from cache.redis import CacheProbe, SharedCache
from cache.single_flight import SingleFlight
from cache.tiers import Tier, jittered

# Before everything of ours in Redis; a new number where the meaning of what is stored changes.
PREFIX = "candlegraph:1"
MAX_ANSWER_BYTES = 2**20
MAX_UNKEPT = 1_000
# For so long a process may compute what all others wait for, and so long each of them waits.
CLAIM_SECONDS = 1.0
PATIENCE_SECONDS = 0.5
FIRST_LOOK_SECONDS = 0.005
# For so long a writer waits until its own changes are heard, and so many of others may be heard meanwhile.
HEARD_WITHIN_SECONDS = 1.0
HEARD_LAST = 1_000
log = structlog.get_logger("candlegraph.cache")


class Source(Enum):
    """Where an answer came from. BYPASS: it cannot be stored, or must not be."""

    MEMORY = "hit-memory"
    REDIS = "hit-redis"
    MISS = "miss"
    BYPASS = "bypass"


class CachedQuery(NamedTuple):
    """What is asked for: key names the answer, tags say what it depends on."""

    key: str
    tags: frozenset[Tag]
    tier: Tier


class Computed(NamedTuple):
    """An answer that may be kept for some seconds. snapshot: what it has seen, as PostgreSQL writes it."""

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
    def __init__(
        self, shared: SharedCache | None = None, *, max_bytes: int = 64 * 2**20, is_enabled: bool = True
    ) -> None:
        self.is_enabled = is_enabled
        self.memory = AnswerMemory(max_bytes)
        self.shared = shared
        self.changes = Changes()
        self.stats = {tier: TierStats() for tier in Tier}
        # By table; under None, those that may be of any.
        self.changes_seen = Counter[str | None]()
        # Transactions of which all has been heard lately, and those that somebody waits for.
        self._heard_last = deque[int](maxlen=HEARD_LAST)
        self._waited_for: dict[int, asyncio.Future[None]] = {}
        # How often hearing has begun: what was announced between is unknown.
        self._begun = 0
        self._single_flight = SingleFlight[tuple[Any, Source]]()
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        # Keys of what could not be kept when it was computed last: an error, or too large.
        self._unkept: set[str] = set()
        self._home = ""

    async def get(self, query: CachedQuery, compute: Compute) -> tuple[Any, Source]:
        """The answer, as an Entry; or, where it cannot be kept, whatever compute gave instead of a Computed."""
        entry = self.find(query.key)
        if entry is not None:
            self._refresh_in_time(entry, query, compute)
            return entry, Source.MEMORY
        if not self.changes.is_listening:
            return await self._computed(query, compute)
        return await self._single_flight.run(query.key, query.tags, lambda: self._fetched(query, compute))

    def find(self, key: str) -> Entry | None:
        """The answer from memory. What is touched by a change is dropped from there at once."""
        entry = self.memory.find(key) if self.changes.is_listening else None
        if entry is not None:
            self.stats[entry.tier].memory_hits += 1
        return entry

    async def find_shared(self, key: str, tags: frozenset[Tag]) -> Entry | None:
        """The answer from Redis, if it is there and has seen every change."""
        changes = self.changes
        written = None if self.shared is None else await self.shared.get(self._stored_under(key))
        entry = None if written is None else Entry.read(key, tags, written)
        if entry is None or not self._is_current(entry, changes):
            return None
        self.memory.keep(entry)
        self.stats[entry.tier].redis_hits += 1
        return entry

    def stamp(self, tables: Collection[str]) -> Hashable | None:
        """Equal to an earlier one if nothing in these tables has changed since; None while nobody can tell."""
        if not self.changes.is_listening:
            return None
        return self._begun, self.changes_seen[None], *(self.changes_seen[table] for table in tables)

    async def wait_until_seen(self, transaction: int) -> None:
        """Wait until all changes of a transaction that was committed have been heard; not where nobody hears anyway."""
        if not self.changes.is_listening or transaction in self._heard_last:
            return
        waiting = self._waited_for.setdefault(transaction, asyncio.get_running_loop().create_future())
        try:
            await asyncio.wait({waiting}, timeout=HEARD_WITHIN_SECONDS)
        finally:
            self._waited_for.pop(transaction, None)
        if not waiting.done() and self.changes.is_listening:
            # Whatever it changed, nothing older is served from here on.
            self.on_change(transaction, None, None)

    def is_fading(self, entry: Entry) -> bool:
        """Whether the next to ask should have it made anew."""
        return time.monotonic() > entry.fades_at

    async def _fetched(self, query: CachedQuery, compute: Compute) -> tuple[Any, Source]:
        if self.shared is None:
            return await self._computed(query, compute)
        entry = await self.find_shared(query.key, query.tags)
        if entry is not None:
            return entry, Source.REDIS
        if query.key in self._unkept:
            # Nobody would find what is computed, so nobody should wait for it.
            return await self._computed(query, compute)
        claim = self._stored_under(f"claim:{query.key}")
        if not await self.shared.claim(claim, CLAIM_SECONDS):
            entry = await self._awaited(query, claim)
            if entry is not None:
                return entry, Source.REDIS
        try:
            return await self._computed(query, compute)
        finally:
            self.shared.release(claim)

    async def _awaited(self, query: CachedQuery, claim: str) -> Entry | None:
        """What another process is computing; None where this one should do it after all."""
        assert self.shared is not None
        until, pause = time.monotonic() + PATIENCE_SECONDS, FIRST_LOOK_SECONDS
        # What cannot be trusted need not be waited for.
        while self.changes.is_listening and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            pause *= 2
            entry = await self.find_shared(query.key, query.tags)
            if entry is not None or await self.shared.claim(claim, CLAIM_SECONDS):
                return entry
        return None

    async def _computed(self, query: CachedQuery, compute: Compute) -> tuple[Any, Source]:
        self.stats[query.tier].misses += 1
        changes = self.changes
        found = await compute()
        if isinstance(found, Computed):
            found = self._entry(query, found)
            if len(found.body) <= MAX_ANSWER_BYTES and self._is_current(found, changes):
                self._keep(found)
                return found, Source.MISS
        if len(self._unkept) >= MAX_UNKEPT:
            self._unkept.clear()
        self._unkept.add(query.key)
        return found, Source.BYPASS

    @staticmethod
    def _entry(query: CachedQuery, computed: Computed) -> Entry:
        snapshot = Snapshot.read(computed.snapshot)
        return Entry.made(query.key, computed.body, query.tags, snapshot, computed.tier, jittered(computed.seconds))

    def _keep(self, entry: Entry) -> None:
        self._unkept.discard(entry.key)
        self.memory.keep(entry)
        if self.shared is not None:
            self.shared.put(self._stored_under(entry.key), entry.written(), entry.lifetime)

    def _is_current(self, entry: Entry, changes: Changes) -> bool:
        """Whether an answer has seen all. changes: what was known when it was asked for, be it of another database."""
        return changes is self.changes and changes.has_seen(entry.snapshot, entry.tags)

    def _refresh_in_time(self, entry: Entry, query: CachedQuery, compute: Compute) -> None:
        if self.is_fading(entry) and query.key not in self._refreshing:
            entry.fades_at = entry.ends_at
            self._refreshing[query.key] = asyncio.create_task(self._refresh(entry, query, compute))

    async def _refresh(self, entry: Entry, query: CachedQuery, compute: Compute) -> None:
        """Compute an answer anew, unless another process just has."""
        try:
            newer = await self.find_shared(query.key, query.tags)
            if newer is None or self.is_fading(newer):
                await self._computed(query, compute)
        except Exception as error:
            log.warning("refresh_failed", key=entry.key, error=type(error).__name__)
        finally:
            del self._refreshing[query.key]

    # What follows is told by whoever listens to the database (db/changes.py).

    def on_resync(self, home: str, snapshot: str) -> None:
        """Changes are heard from now on; those that the snapshot sees may have been missed."""
        if home != self._home:
            self.forget()
            self._home = home
        self._begun += 1
        baseline = Snapshot.read(snapshot)
        self.changes.begin(baseline)
        self.memory.drop_unless(lambda entry: entry.snapshot.covers(baseline))

    def on_change(self, transaction: int, table: str | None, members: Collection[str] | None) -> None:
        change = Change(transaction, table, None if members is None else frozenset(members))
        self.changes.note(change)
        self.changes_seen[table] += 1
        self.memory.drop_touched(change)
        self._single_flight.detach_affected(change)

    def on_transaction_end(self, transaction: int) -> None:
        self._heard_last.append(transaction)
        if (waiting := self._waited_for.get(transaction)) is not None and not waiting.done():
            waiting.set_result(None)

    def on_heartbeat(self, since: float) -> None:
        self.changes.confirm(since)

    def on_disconnect(self) -> None:
        self.changes.stop()
        self._single_flight.detach_all()
        # Nothing older is served until the next who listens has caught up, which is later than what they wait for.
        for waiting in self._waited_for.values():
            if not waiting.done():
                waiting.set_result(None)

    def on_clear(self, pattern: str) -> None:
        self.memory.drop_matching(pattern)

    def forget(self) -> None:
        """Another database: nothing that was heard of the one before means anything."""
        self.changes = Changes()
        self.memory.drop_unless(lambda _: False)
        self._single_flight.detach_all()

    def _stored_under(self, key: str) -> str:
        return f"{PREFIX}:{self._home}:{key}"

    async def probe(self) -> CacheProbe:
        """Look at Redis without ever hanging on it."""
        return CacheProbe("memory") if self.shared is None else await self.shared.probe()

    async def close(self) -> None:
        for task in list(self._refreshing.values()):
            task.cancel()
        await asyncio.gather(*self._refreshing.values(), return_exceptions=True)
        if self.shared is not None:
            await self.shared.close()
