import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import strawberry
from strawberry.extensions import FieldExtension

from cache.answers import AnswerCache
from cache.redis import CacheProbe
from cache.tiers import Tier
from db.engine import DatabaseProbe
from db.queries import freshness
from graph.compiler.cost import Weight
from graph.compiler.symbols import Row
from graph.context import Context, Info
from graph.fields import cached, resolved
from graph.identity.permissions import check_sees_all
from graph.plan_cache import PlanCache
from graph.types.cryptocurrencies import Cryptocurrency

# A server that has just started begins to listen.
HEARD_WITHIN_SECONDS = 5.0
# Nobody knows how many there are.
STALE = Weight(size=lambda _: 100)
MAX_INT = 2**31 - 1


@strawberry.enum(description="How well something is.")
class HealthStatus(Enum):
    HEALTHY = strawberry.enum_value("HEALTHY", description="All is well.")
    DEGRADED = strawberry.enum_value("DEGRADED", description="It works, without something that it should have.")
    UNHEALTHY = strawberry.enum_value("UNHEALTHY", description="It does not work.")


@strawberry.type(description="The database, as one look at it found it.")
class DatabaseHealth:
    status: HealthStatus = strawberry.field(description="UNHEALTHY when it does not answer within a second.")
    message: str | None = strawberry.field(description="What is wrong, if anything.")
    latency_ms: float | None = strawberry.field(description="How long its answer took, in milliseconds.")
    version: str | None = strawberry.field(description="The version of PostgreSQL.")
    migration: str | None = strawberry.field(description="The newest migration that it has.")
    pool_size: int = strawberry.field(description="Connections that this process may keep open.")
    pool_in_use: int = strawberry.field(description="Connections that are busy now.")
    embedded: bool = strawberry.field(description="Whether it is the embedded PostgreSQL.")


@strawberry.type(description="What this process was asked, of answers that may be kept for so long.")
class CacheTierHealth:
    tier: str = strawberry.field(description='"SHORT", "MEDIUM" or "LONG".')
    ttl_seconds: int = strawberry.field(description="How long an answer is kept at most; a change of its data ends it.")
    # As agreed with clients; whoever gets to two billion reads the floats below.
    hits: int = strawberry.field(description="Answers that were found, in memory or in Redis; ends at 2,147,483,647.")
    misses: int = strawberry.field(description="Answers that had to be computed; ends at 2,147,483,647.")
    hit_rate: float | None = strawberry.field(description="The share that was found; null while nothing was asked.")
    memory_hits: float = strawberry.field(description="Answers that were found in this process's memory.")
    redis_hits: float = strawberry.field(description="Answers that were found in Redis.")
    entries: int = strawberry.field(description="Answers in this process's memory.")


@strawberry.type(description="The cache, as one look at it found it.")
class CacheHealth:
    status: HealthStatus = strawberry.field(
        description="DEGRADED when Redis is configured and does not answer, or stored answers may not be served."
    )
    message: str | None = strawberry.field(description="What is wrong, if anything.")
    backend: str = strawberry.field(description='"memory" or "memory+redis".')
    latency_ms: float | None = strawberry.field(description="How long the answer of Redis took, in milliseconds.")
    used_memory_mb: float | None = strawberry.field(description="Memory that Redis uses, in MiB.")
    connected_clients: int | None = strawberry.field(description="Clients of Redis.")
    uptime_seconds: int | None = strawberry.field(description="How long Redis has been up.")
    breaker: str | None = strawberry.field(
        description='"closed" while Redis is asked, "open" or "half-open" while it is spared; null without Redis.'
    )
    listening: bool = strawberry.field(
        description="Whether changes of the data are heard: while they are not, stored answers are not served."
    )
    entries: int = strawberry.field(description="Answers in this process's memory.")
    bytes: float = strawberry.field(description="About how much memory they take.")
    evictions: float = strawberry.field(description="Answers in memory that made room for others.")
    tiers: list[CacheTierHealth] = strawberry.field(description="Figures by how long answers may be kept.")


@strawberry.type(
    description="Plans: queries as statements, compiled once and kept by this process. A query that is new is compiled."
)
class PlanHealth:
    entries: int = strawberry.field(description="Plans that are kept.")
    bytes: int = strawberry.field(description="About how much memory they take.")
    # Counts are floats: Int ends at two billion.
    hits: float = strawberry.field(description="Queries that found their plan.")
    misses: float = strawberry.field(description="Queries that were compiled.")
    evictions: float = strawberry.field(description="Plans that made room for others.")
    documents: int = strawberry.field(description="Documents that are kept parsed and validated.")
    document_bytes: int = strawberry.field(description="About how much memory they take.")
    fallbacks: float = strawberry.field(
        description="Queries that no plan could be made of; they are answered, by a statement for each root field."
    )


@dataclass(frozen=True)
class UnknownData:
    """What is said of the data while the database cannot be read."""

    newest_candle_at: None = None
    newest_candle_age_seconds: None = None
    overdue_predictions: int = 0
    stale: list[Any] = field(default_factory=list)


@strawberry.type(
    description="Is the data itself alive? Monitors alarm on this; while the database is down, nothing is known.",
    directives=cached(Tier.SHORT),
)
class DataHealth:
    newest_candle_at: datetime | None = strawberry.field(description="The open time of the newest candle of all.")
    newest_candle_age_seconds: float | None = strawberry.field(description="The time since then.")
    overdue_predictions: int = strawberry.field(
        description="Predictions whose target time passed by more than one base interval, and that are not settled."
    )

    @resolved(
        list[Cryptocurrency],
        "Active coins whose newest candle closed more than three base intervals ago.",
        weight=STALE,
    )
    def stale(self: Row) -> Any:
        return self.stale if isinstance(self, UnknownData) else freshness.stale()


class ForAdmins(FieldExtension):
    """A field for those who may see everything."""

    def resolve(self, next_: Callable[..., Any], source: Any, info: Info, **arguments: Any) -> Any:
        check_sees_all(info.context.caller)
        return next_(source, info, **arguments)


def detail(description: str) -> Any:
    """Of the insides."""
    return strawberry.field(
        description=f"{description} Where people sign in, it needs the scope ADMIN.", extensions=[ForAdmins()]
    )


@strawberry.type(description="How the server is.")
class Health:
    status: HealthStatus = strawberry.field(
        description="UNHEALTHY without the database, DEGRADED without a configured cache."
    )
    service: str = strawberry.field(description="The service's name.")
    version: str = strawberry.field(description="Its version.")
    environment: str = strawberry.field(description="Where it runs, such as development or production.")
    timestamp: datetime = strawberry.field(description="The server's time.")
    uptime_seconds: float = strawberry.field(description="How long this process has been up.")
    database: DatabaseHealth = detail("PostgreSQL.")
    cache: CacheHealth = detail("The cache.")
    plans: PlanHealth = detail("The plans of queries.")

    @resolved(DataHealth, "The data.")
    def data(self) -> Any:
        return UnknownData() if self.database.status is HealthStatus.UNHEALTHY else freshness.freshness()


async def look(context: Context) -> Health:
    """Look at everything at once; no look takes longer than a second."""
    database_probe, cache_probe = await asyncio.gather(context.database.probe(), context.cache.probe())
    database, cache = _database_health(context, database_probe), _cache_health(context, cache_probe)
    return Health(
        status=overall_status(database, cache),
        service=context.service.name,
        version=context.service.version,
        environment=context.service.environment,
        timestamp=datetime.now(UTC),
        uptime_seconds=context.service.uptime_seconds,
        database=database,
        cache=cache,
        plans=_plan_health(context.plans),
    )


def overall_status(database: DatabaseHealth, cache: CacheHealth) -> HealthStatus:
    return cache.status if database.status is HealthStatus.HEALTHY else database.status


def _database_health(context: Context, probe: DatabaseProbe) -> DatabaseHealth:
    return DatabaseHealth(
        status=HealthStatus.HEALTHY if probe.alive else HealthStatus.UNHEALTHY,
        message=probe.message,
        latency_ms=probe.latency_ms,
        version=probe.version,
        migration=probe.migration,
        pool_size=context.database.pool_size,
        pool_in_use=context.database.pool_in_use,
        embedded=context.database.embedded,
    )


def _cache_health(context: Context, probe: CacheProbe) -> CacheHealth:
    cache = context.cache
    memory, message = cache.memory.stats, probe.message or _why_unused(context)
    return CacheHealth(
        status=HealthStatus.HEALTHY if message is None else HealthStatus.DEGRADED,
        message=message,
        backend=probe.backend,
        latency_ms=probe.latency_ms,
        used_memory_mb=probe.used_memory_mb,
        connected_clients=probe.connected_clients,
        uptime_seconds=probe.uptime_seconds,
        breaker=cache.shared.state if cache.shared else None,
        listening=cache.changes.is_listening,
        entries=memory.entries,
        bytes=memory.bytes,
        evictions=memory.evictions,
        tiers=[_tier_health(cache, tier) for tier in Tier],
    )


def _why_unused(context: Context) -> str | None:
    cache, has_begun = context.cache, context.service.uptime_seconds > HEARD_WITHIN_SECONDS
    is_deaf = cache.is_enabled and has_begun and not cache.changes.is_listening
    return "Changes are not heard: nothing is served from the cache." if is_deaf else None


def _tier_health(cache: AnswerCache, tier: Tier) -> CacheTierHealth:
    stats = cache.stats[tier]
    hits = stats.memory_hits + stats.redis_hits
    asked = hits + stats.misses
    return CacheTierHealth(
        tier=tier.name,
        ttl_seconds=tier.seconds,
        hits=min(hits, MAX_INT),
        misses=min(stats.misses, MAX_INT),
        hit_rate=round(hits / asked, 4) if asked else None,
        memory_hits=stats.memory_hits,
        redis_hits=stats.redis_hits,
        entries=cache.memory.entries_by_tier[tier],
    )


def _plan_health(plans: PlanCache) -> PlanHealth:
    kept, documents = plans.plan_stats, plans.operation_stats
    return PlanHealth(
        entries=kept.entries,
        bytes=kept.bytes,
        hits=kept.hits,
        misses=kept.misses,
        evictions=kept.evictions,
        documents=documents.entries,
        document_bytes=documents.bytes,
        fallbacks=plans.fallbacks,
    )
