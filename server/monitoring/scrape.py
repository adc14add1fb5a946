"""Metrics that are collected at a scrape: figures of other modules, and queries to Redis and the database."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from cache.breaker import STATES
from cache.memory import MemoryCacheStats
from cache.redis import CacheProbe, SharedCache
from db.engine import Database
from db.models import Base
from db.queries import freshness
from graph.context import Context

# Timeouts of a scrape for Redis and for the query of the data.
REDIS_SECONDS = 0.1
DATA_SECONDS = 1.0
# The data is queried at most once in this time.
DATA_AGE_SECONDS = 15.0
MIB = 2**20
TABLES = frozenset(Base.metadata.tables)


class Scraper:
    """Collects the metrics of one scrape."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._data = DataWatch(context.database)

    async def scrape(self) -> "Scrape":
        data, redis = await asyncio.gather(self._data.latest(), self._probe_redis())
        return Scrape(self._context, data, redis)

    async def _probe_redis(self) -> CacheProbe | None:
        shared = self._context.cache.shared
        return None if shared is None else await shared.probe(REDIS_SECONDS)


class DataWatch:
    """Figures of the data, at most DATA_AGE_SECONDS old: there may be many servers, and many that scrape them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading: asyncio.Task[Any] | None = None
        self._read_at = -DATA_AGE_SECONDS

    async def latest(self) -> Any | None:
        """A row of freshness.for_metrics(); None if the database does not return it in time."""
        now = time.monotonic()
        if self._reading is None or now - self._read_at >= DATA_AGE_SECONDS:
            self._read_at = now
            self._reading = asyncio.create_task(self._read())
        reading = self._reading
        # Not asyncio.timeout: closing a cancelled connection takes two more seconds.
        await asyncio.wait({reading}, timeout=max(0.0, self._read_at + DATA_SECONDS - now))
        if not reading.done():
            reading.cancel()
            return None
        return None if reading.cancelled() else reading.result()

    async def _read(self) -> Any | None:
        try:
            [row] = await self._database.fetch_rows(freshness.for_metrics())
        except Exception:  # a scrape never fails
            return None
        return row


@dataclass(frozen=True)
class Scrape(Collector):
    """data: None if the database did not answer. redis: None if none is configured."""

    context: Context
    data: Any | None
    redis: CacheProbe | None

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "candlegraph",
            "Version of the server. All metrics are of one process: with several workers, of the one that responds.",
            {"version": self.context.service.version},
        )
        yield from self._database()
        yield from self._data()
        yield from self._answers()
        yield from self._plans()
        yield from self._listener()
        if self.context.cache.shared is not None and self.redis is not None:
            yield from _shared(self.context.cache.shared, self.redis)

    def _database(self) -> Iterator[Metric]:
        database = self.context.database
        yield _gauge("pool_size", "Most connections to PostgreSQL that the pool opens.", database.max_connections)
        yield _gauge("pool_in_use", "Connections of the pool that are in use.", database.pool_in_use)
        yield _gauge(
            "database_up",
            f"Whether PostgreSQL answered the last query of the data within {DATA_SECONDS:g} s. It runs at most every"
            f" {DATA_AGE_SECONDS:g} s.",
            self.data is not None,
        )

    def _data(self) -> Iterator[Metric]:
        """No samples if the query failed: other values would trigger alerts."""
        if self.data is None:
            return
        newest = self.data.newest_candle_at
        if newest is not None:
            about = "Open time of the newest candle of all coins, in seconds since 1970."
            yield _gauge("newest_candle_timestamp_seconds", about, newest.timestamp())
        about = "Active coins whose newest candle closed more than three base intervals ago."
        yield _gauge("stale_coins", about, self.data.stale_coins)
        about = "Unsettled predictions whose target time passed more than one base interval ago."
        yield _gauge("overdue_predictions", about, self.data.overdue_predictions)

    def _answers(self) -> Iterator[Metric]:
        cache = self.context.cache
        hits = _by(
            CounterMetricFamily, "cache_hits", "Answers found in a cache. source: memory or redis.", ["tier", "source"]
        )
        misses = _by(CounterMetricFamily, "cache_misses", "Answers that had to be computed.", ["tier"])
        entries = _by(GaugeMetricFamily, "cache_entries", "Answers in the memory of this process.", ["tier"])
        for tier, stats in cache.stats.items():
            hits.add_metric([tier.name, "memory"], stats.memory_hits)
            hits.add_metric([tier.name, "redis"], stats.redis_hits)
            misses.add_metric([tier.name], stats.misses)
            entries.add_metric([tier.name], cache.memory.entries_by_tier[tier])
        yield from (hits, misses, entries)
        yield _gauge("cache_bytes", "Size of the answers in the memory of this process.", cache.memory.stats.bytes)
        about = "Answers that were evicted from the memory of this process to make room for others."
        yield _counter("cache_evictions", about, cache.memory.stats.evictions)

    def _plans(self) -> Iterator[Metric]:
        plans = self.context.plans
        yield from _memory("plan", plans.plan_stats)
        yield from _memory("document", plans.operation_stats)
        about = "Valid queries answered without a plan, by a statement for each root field."
        yield _counter("plan_fallbacks", about, plans.fallbacks)
        about = "Unexpected exceptions while a plan was found or compiled: planning_failed in the log."
        yield _counter("planning_errors", about, plans.errors)

    def _listener(self) -> Iterator[Metric]:
        changes = self.context.feed.changes
        about = "Whether the listener receives changes of the data. While it does not, no answer comes from a cache."
        yield _gauge("listener_up", about, changes.is_listening)
        if changes.is_listening:
            about = "Duration of the listener's last ping, which is about the delay of changes."
            yield _gauge("listener_lag_seconds", about, changes.lag_seconds)
        about = "Received changes of the data by table; any: a change that may affect all tables."
        received = _by(CounterMetricFamily, "changes_heard", about, ["table"])
        counts = self.context.feed.counts
        for table in sorted(TABLES & {name for name in counts if name}):
            received.add_metric([table], counts[table])
        received.add_metric(["any"], counts[None])
        yield received


def _shared(shared: SharedCache, probe: CacheProbe) -> Iterator[Metric]:
    yield _gauge("redis_up", f"Whether Redis answered this scrape within {REDIS_SECONDS:g} s.", probe.alive)
    if probe.used_memory_mb is not None and probe.max_memory_mb is not None:
        yield _gauge("redis_memory_used_bytes", "Memory that Redis uses.", round(probe.used_memory_mb * MIB))
        about = "Memory that Redis may use; 0 for no limit."
        yield _gauge("redis_memory_max_bytes", about, round(probe.max_memory_mb * MIB))
    about = "1 for the state of the circuit breaker. Redis is used only while it is closed."
    breaker = _by(GaugeMetricFamily, "redis_breaker", about, ["state"])
    for state in STATES:
        breaker.add_metric([state], state == shared.state)
    yield breaker
    stats = shared.stats
    yield _counter("redis_breaker_opened", "How often the circuit breaker opened.", stats.times_opened)
    yield _counter("redis_failures", "Calls to Redis that failed or timed out.", stats.failures)
    yield _counter("redis_timeouts", "Calls to Redis that timed out.", stats.timeouts)
    yield _counter("redis_skipped", "Reads that were skipped because the circuit breaker was open.", stats.skipped)
    yield _counter("redis_dropped_writes", "Writes to Redis that were dropped.", stats.dropped_writes)


def _memory(thing: str, stats: MemoryCacheStats) -> Iterator[Metric]:
    name = f"{thing}_cache"
    yield _counter(f"{name}_hits", f"Lookups that found a {thing}.", stats.hits)
    yield _counter(f"{name}_misses", f"Lookups that found no {thing}.", stats.misses)
    yield _counter(
        f"{name}_evictions", f"{thing.capitalize()}s that were evicted to make room for others.", stats.evictions
    )
    yield _gauge(f"{name}_entries", f"Cached {thing}s.", stats.entries)
    yield _gauge(f"{name}_bytes", f"Approximate size of the cached {thing}s.", stats.bytes)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"candlegraph_{name}", about, value)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"candlegraph_{name}", about, value)


def _by(family: Any, name: str, about: str, labels: list[str]) -> Any:
    return family(f"candlegraph_{name}", about, labels=labels)
