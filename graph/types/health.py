import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import strawberry

from cache.redis import CacheProbe
from cache.tiers import Tier
from db.engine import DatabaseProbe
from db.queries import freshness
from graph.compiler.symbols import Row
from graph.context import Context
from graph.fields import cached, resolved
from graph.plans import Plans
from graph.types.cryptocurrencies import Cryptocurrency


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


@strawberry.type(description="The cache, as one look at it found it.")
class CacheHealth:
    status: HealthStatus = strawberry.field(description="DEGRADED when Redis is configured and does not answer.")
    message: str | None = strawberry.field(description="What is wrong, if anything.")
    backend: str = strawberry.field(description='"memory" or "memory+redis".')
    latency_ms: float | None = strawberry.field(description="How long the answer of Redis took, in milliseconds.")
    used_memory_mb: float | None = strawberry.field(description="Memory that Redis uses, in MiB.")
    connected_clients: int | None = strawberry.field(description="Clients of Redis.")
    uptime_seconds: int | None = strawberry.field(description="How long Redis has been up.")


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

    @resolved(list[Cryptocurrency], "Active coins whose newest candle closed more than three base intervals ago.")
    def stale(self: Row) -> Any:
        return self.stale if isinstance(self, UnknownData) else freshness.stale()


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
    database: DatabaseHealth = strawberry.field(description="PostgreSQL.")
    cache: CacheHealth = strawberry.field(description="The cache.")
    plans: PlanHealth = strawberry.field(description="The plans of queries.")

    @resolved(DataHealth, "The data.")
    def data(self) -> Any:
        return UnknownData() if self.database.status is HealthStatus.UNHEALTHY else freshness.freshness()


async def look(context: Context) -> Health:
    """Look at everything at once; no look takes longer than a second."""
    database, cache = await asyncio.gather(context.database.probe(), context.cache.probe())
    return Health(
        status=overall_status(database, cache),
        service=context.service.name,
        version=context.service.version,
        environment=context.service.environment,
        timestamp=datetime.now(UTC),
        uptime_seconds=context.service.uptime_seconds,
        database=_database_health(context, database),
        cache=_cache_health(cache),
        plans=_plan_health(context.plans),
    )


def overall_status(database: DatabaseProbe, cache: CacheProbe) -> HealthStatus:
    if not database.alive:
        return HealthStatus.UNHEALTHY
    return HealthStatus.HEALTHY if cache.alive else HealthStatus.DEGRADED


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


def _cache_health(probe: CacheProbe) -> CacheHealth:
    return CacheHealth(
        status=HealthStatus.HEALTHY if probe.alive else HealthStatus.DEGRADED,
        message=probe.message,
        backend=probe.backend,
        latency_ms=probe.latency_ms,
        used_memory_mb=probe.used_memory_mb,
        connected_clients=probe.connected_clients,
        uptime_seconds=probe.uptime_seconds,
    )


def _plan_health(plans: Plans) -> PlanHealth:
    kept, documents = plans.plans.stats, plans.operations.stats
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
