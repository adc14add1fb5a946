"""Health of the server, its database, cache, plans and data; also served over REST by server/http/health.py."""

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

# Within this time of its start, a server that does not listen for changes yet is not reported as degraded.
LISTEN_GRACE_SECONDS = 5.0
# An assumed size: the number of stale coins is not known before the query.
STALE_COINS = Weight(size=lambda _: 100)
MAX_INT = 2**31 - 1


@strawberry.enum(description="State of a component.")
class HealthStatus(Enum):
    HEALTHY = strawberry.enum_value("HEALTHY", description="Everything works.")
    DEGRADED = strawberry.enum_value(
        "DEGRADED", description="It serves requests, but a configured part is unavailable, such as Redis."
    )
    UNHEALTHY = strawberry.enum_value("UNHEALTHY", description="It cannot serve requests.")


@strawberry.type(description="Result of probing PostgreSQL, and the connection pool of this process.")
class DatabaseHealth:
    status: HealthStatus = strawberry.field(
        description="UNHEALTHY if PostgreSQL does not answer within a second, or has no tables yet."
    )
    message: str | None = strawberry.field(description="Reason for a status other than HEALTHY; null: none.")
    latency_ms: float | None = strawberry.field(
        description="Response time of the probe, in milliseconds; null: no answer."
    )
    version: str | None = strawberry.field(description="Version of PostgreSQL; null: no answer.")
    migration: str | None = strawberry.field(description="Newest applied migration; null: none, or no answer.")
    pool_size: int = strawberry.field(description="Maximum number of pooled connections of this process.")
    pool_in_use: int = strawberry.field(description="Pooled connections in use now.")
    embedded: bool = strawberry.field(description="Whether the server runs the embedded PostgreSQL.")


@strawberry.type(description="Counters of one cache tier, since the start of this process.")
class CacheTierHealth:
    tier: str = strawberry.field(description='"SHORT", "MEDIUM" or "LONG".')
    ttl_seconds: int = strawberry.field(
        description="Maximum lifetime of an answer, in seconds. A change of its data invalidates it earlier."
    )
    # Int by contract with clients: it stops at 2**31 - 1, where the floats below go on.
    hits: int = strawberry.field(
        description="Answers found in memory or in Redis. Stops at 2,147,483,647: see memoryHits and redisHits."
    )
    misses: int = strawberry.field(description="Answers that were computed. Stops at 2,147,483,647.")
    hit_rate: float | None = strawberry.field(description="hits / (hits + misses), 0 to 1; null: no requests yet.")
    memory_hits: float = strawberry.field(description="Answers found in the memory of this process.")
    redis_hits: float = strawberry.field(description="Answers found in Redis.")
    entries: int = strawberry.field(description="Answers in the memory of this process now.")


@strawberry.type(description="Result of probing the cache, and counters of this process.")
class CacheHealth:
    status: HealthStatus = strawberry.field(
        description="DEGRADED if Redis is configured and unreachable, or changes of the data are not received."
    )
    message: str | None = strawberry.field(description="Reason for a status other than HEALTHY; null: none.")
    backend: str = strawberry.field(description='"memory" or "memory+redis".')
    latency_ms: float | None = strawberry.field(
        description="Response time of Redis, in milliseconds; null: no answer, or no Redis."
    )
    used_memory_mb: float | None = strawberry.field(
        description="Memory that Redis uses, in MiB; null: no answer, or no Redis."
    )
    connected_clients: int | None = strawberry.field(
        description="Client connections of Redis; null: no answer, or no Redis."
    )
    uptime_seconds: int | None = strawberry.field(
        description="Uptime of Redis, in seconds; null: no answer, or no Redis."
    )
    breaker: str | None = strawberry.field(
        description='Circuit breaker of Redis: "closed" (Redis is used), "open" or "half-open" (Redis failed and is '
        "bypassed); null: no Redis."
    )
    listening: bool = strawberry.field(
        description="Whether this process receives changes of the data. Otherwise it serves no cached answers."
    )
    entries: int = strawberry.field(description="Answers in the memory of this process now.")
    bytes: float = strawberry.field(description="Estimated size of these answers, in bytes.")
    evictions: float = strawberry.field(
        description="Answers evicted from memory to make room for others, since the start of this process."
    )
    tiers: list[CacheTierHealth] = strawberry.field(description="Counters by cache tier.")


@strawberry.type(
    description="Cache of plans: each query is compiled to a statement once, and this process reuses the plan."
)
class PlanHealth:
    entries: int = strawberry.field(description="Cached plans.")
    bytes: int = strawberry.field(description="Estimated size of the cached plans, in bytes.")
    # Counts are floats because Int ends at 2**31 - 1.
    hits: float = strawberry.field(description="Queries that found a cached plan, since the start of this process.")
    misses: float = strawberry.field(description="Queries that were compiled, since the start of this process.")
    evictions: float = strawberry.field(
        description="Plans evicted to make room for others, since the start of this process."
    )
    documents: int = strawberry.field(description="Cached parsed and validated documents.")
    document_bytes: int = strawberry.field(description="Estimated size of the cached documents, in bytes.")
    fallbacks: float = strawberry.field(
        description="Queries that could not be compiled to one plan. They are answered with one statement for each "
        "root field."
    )


@dataclass(frozen=True)
class UnknownData:
    """Values of DataHealth while the database is unavailable."""

    newest_candle_at: None = None
    newest_candle_age_seconds: None = None
    overdue_predictions: int = 0
    stale: list[Any] = field(default_factory=list)


@strawberry.type(
    description="Freshness of the data, for monitoring. While the database is unavailable, the fields are null, 0 or "
    "empty.",
    directives=cached(Tier.SHORT),
)
class DataHealth:
    newest_candle_at: datetime | None = strawberry.field(
        description="Open time of the newest candle of any coin; null: no candles."
    )
    newest_candle_age_seconds: float | None = strawberry.field(
        description="Seconds since newestCandleAt; null: no candles."
    )
    overdue_predictions: int = strawberry.field(
        description="Predictions with the status PENDING whose target time passed more than one baseInterval ago."
    )

    @resolved(
        list[Cryptocurrency],
        "Active coins whose newest candle closed more than three times their baseInterval ago.",
        weight=STALE_COINS,
    )
    def stale(self: Row) -> Any:
        return self.stale if isinstance(self, UnknownData) else freshness.stale_coins()


class RequiresAdmin(FieldExtension):
    """Raises Forbidden for callers that may not see all data."""

    def resolve(self, next_: Callable[..., Any], source: Any, info: Info, **arguments: Any) -> Any:
        check_sees_all(info.context.caller)
        return next_(source, info, **arguments)


def admin_field(description: str) -> Any:
    """A field about the internals of the server, which only callers that may see all data can select."""
    return strawberry.field(
        description=f"{description} Needs the scope ADMIN, unless the server runs with AUTH_MODE=open.",
        extensions=[RequiresAdmin()],
    )


@strawberry.type(description="Health of the server and of the components that it needs.")
class Health:
    status: HealthStatus = strawberry.field(
        description="UNHEALTHY if the database is, otherwise the status of the cache."
    )
    service: str = strawberry.field(description='Name of the service: "candlegraph".')
    version: str = strawberry.field(description="Version of the server.")
    environment: str = strawberry.field(description='"development", "test", "staging" or "production".')
    timestamp: datetime = strawberry.field(description="Current time of the server.")
    uptime_seconds: float = strawberry.field(description="Seconds since the start of this process.")
    database: DatabaseHealth = admin_field("Health of PostgreSQL.")
    cache: CacheHealth = admin_field("Health of the cache.")
    plans: PlanHealth = admin_field("Counters of the cache of query plans.")

    @resolved(DataHealth, "Freshness of the data.")
    def data(self) -> Any:
        return UnknownData() if self.database.status is HealthStatus.UNHEALTHY else freshness.for_health()


async def probe_health(context: Context) -> Health:
    """Probe the database and the cache concurrently. Each probe takes at most a second."""
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
    memory, message = cache.memory.stats, probe.message or _listening_problem(context)
    return CacheHealth(
        status=HealthStatus.HEALTHY if message is None else HealthStatus.DEGRADED,
        message=message,
        backend=probe.backend,
        latency_ms=probe.latency_ms,
        used_memory_mb=probe.used_memory_mb,
        connected_clients=probe.connected_clients,
        uptime_seconds=probe.uptime_seconds,
        breaker=cache.shared.state if cache.shared else None,
        listening=context.feed.is_listening,
        entries=memory.entries,
        bytes=memory.bytes,
        evictions=memory.evictions,
        tiers=[_tier_health(cache, tier) for tier in Tier],
    )


def _listening_problem(context: Context) -> str | None:
    is_in_grace = context.service.uptime_seconds <= LISTEN_GRACE_SECONDS
    if not context.cache.is_enabled or is_in_grace or context.feed.is_listening:
        return None
    return "Changes of the data are not received: no cached answers are served."


def _tier_health(cache: AnswerCache, tier: Tier) -> CacheTierHealth:
    stats = cache.stats[tier]
    hits = stats.memory_hits + stats.redis_hits
    requests = hits + stats.misses
    return CacheTierHealth(
        tier=tier.name,
        ttl_seconds=tier.seconds,
        hits=min(hits, MAX_INT),
        misses=min(stats.misses, MAX_INT),
        hit_rate=round(hits / requests, 4) if requests else None,
        memory_hits=stats.memory_hits,
        redis_hits=stats.redis_hits,
        entries=cache.memory.entries_by_tier[tier],
    )


def _plan_health(plans: PlanCache) -> PlanHealth:
    compiled, documents = plans.plan_stats, plans.operation_stats
    return PlanHealth(
        entries=compiled.entries,
        bytes=compiled.bytes,
        hits=compiled.hits,
        misses=compiled.misses,
        evictions=compiled.evictions,
        documents=documents.entries,
        document_bytes=documents.bytes,
        fallbacks=plans.fallbacks,
    )
