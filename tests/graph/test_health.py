"""The health field: the figures that monitors read, and its state when a part is unavailable."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import URL, insert, text

from cache.answers import AnswerCache, TierStats
from cache.change_feed import ChangeFeed
from cache.tiers import Tier
from db.engine import Database, driver_url
from db.models import Candle, Cryptocurrency, Model, Prediction
from graph.types import health as types
from graph.types.health import probe_health
from server import app
from tests.application import Client, context_of, serving

HEALTH = """
{ health { status service version environment timestamp uptimeSeconds
  database { status message latencyMs version migration poolSize poolInUse embedded }
  cache { status message backend latencyMs usedMemoryMb connectedClients uptimeSeconds }
  data { newestCandleAt newestCandleAgeSeconds overduePredictions stale { symbol latest { openTime } } } } }
"""
CACHE = """
{ health { cache { breaker listening entries bytes evictions
  tiers { tier ttlSeconds hits misses hitRate memoryHits redisHits entries } } } }
"""
NOTHING_KEPT = {"listening": True, "entries": 0, "bytes": 0, "evictions": 0}
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


async def health(client: Client) -> dict[str, Any]:
    report: dict[str, Any] = (await client.data(HEALTH))["health"]
    return report


async def test_a_healthy_server(client: Client) -> None:
    report = await health(client)
    assert report["status"] == "HEALTHY"
    assert (report["service"], report["environment"]) == ("candlegraph", "test")
    assert report["database"]["version"].startswith("18")
    assert report["database"]["poolSize"] == 10
    assert report["cache"] == {
        "status": "HEALTHY",
        "message": None,
        "backend": "memory",
        "latencyMs": None,
        "usedMemoryMb": None,
        "connectedClients": None,
        "uptimeSeconds": None,
    }


async def test_redis_reports_its_figures(database_url: URL, redis_url: str) -> None:
    async with serving(database_url, redis_url=redis_url) as client:
        cache = (await health(client))["cache"]
    assert (cache["status"], cache["backend"]) == ("HEALTHY", "memory+redis")
    assert cache["usedMemoryMb"] > 0
    assert cache["connectedClients"] >= 1


async def test_without_a_configured_redis_it_is_degraded(database_url: URL) -> None:
    async with serving(database_url, redis_url="redis://127.0.0.1:1/0") as client:
        report = await health(client)
    assert report["status"] == report["cache"]["status"] == "DEGRADED"
    assert report["cache"]["message"] == "Redis cannot be reached."


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "postgresql://nobody@/none?host=/nowhere"])
async def test_without_the_database_it_is_unhealthy_and_still_answers(url: str) -> None:
    async with serving(driver_url(url)) as client:
        report = await health(client)
        error = await client.error('{ cryptocurrency(symbol: "BTC") { name } }')
    assert report["status"] == report["database"]["status"] == "UNHEALTHY"
    assert report["database"]["message"] == "The database cannot be reached."
    assert report["data"] == {
        "newestCandleAt": None,
        "newestCandleAgeSeconds": None,
        "overduePredictions": 0,
        "stale": [],
    }
    assert error["extensions"]["code"] == "DATABASE_UNAVAILABLE"


async def test_the_cache_counts_by_tier(demo_url: URL, redis_url: str) -> None:
    # In Redis, by no other test.
    coin = '{ counted: cryptocurrency(symbol: "BTC") { name } }'
    async with serving(demo_url, redis_url=redis_url) as client:
        await until_listening(client)
        before = (await client.data(CACHE))["health"]["cache"]
        for _ in range(4):
            await client.data(coin)
        cache = (await client.data(CACHE))["health"]["cache"]
    nothing = {"hits": 0, "misses": 0, "hitRate": None, "memoryHits": 0, "redisHits": 0, "entries": 0}
    short, medium, long = [
        {"tier": tier, "ttlSeconds": seconds} | nothing
        for tier, seconds in (("SHORT", 300), ("MEDIUM", 1_800), ("LONG", 3_600))
    ]
    assert before == NOTHING_KEPT | {"breaker": "closed", "tiers": [short, medium, long]}
    long |= {"hits": 3, "misses": 1, "hitRate": 0.75, "memoryHits": 3, "entries": 1}
    assert cache["tiers"] == [short, medium, long]
    assert (cache["entries"], cache["evictions"]) == (1, 0)
    assert cache["bytes"] > 1_000
    async with serving(demo_url, redis_url=redis_url) as other:
        await until_listening(other)
        await other.data(coin)
        tier = (await other.data(CACHE))["health"]["cache"]["tiers"][2]
    assert tier == long | {"hits": 1, "misses": 0, "hitRate": 1, "memoryHits": 0, "redisHits": 1}


async def until_listening(client: Client) -> None:
    async with asyncio.timeout(5):
        while not (await client.data(CACHE))["health"]["cache"]["listening"]:
            pass


async def test_counts_are_capped_at_the_largest_int(demo_url: URL) -> None:
    database, feed = Database(demo_url, pool_size=1), ChangeFeed()
    cache = AnswerCache(feed)
    cache.stats[Tier.SHORT] = TierStats(memory_hits=2**31, redis_hits=2**31, misses=2**32)
    report = await probe_health(context_of(database, feed, cache))
    await database.close()
    short = report.cache.tiers[0]
    assert (short.hits, short.misses) == (2**31 - 1, 2**31 - 1)
    assert (short.memory_hits, short.redis_hits, short.hit_rate) == (2**31, 2**31, 0.5)


async def test_a_cache_without_the_change_feed_is_degraded(demo_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hear_nothing(*_: object) -> None: ...

    monkeypatch.setattr(app, "listen", hear_nothing)
    async with serving(demo_url) as client:
        assert (await health(client))["cache"]["status"] == "HEALTHY"
        monkeypatch.setattr(types, "LISTEN_GRACE_SECONDS", 0)
        report = await health(client)
        assert (await client.data(CACHE))["health"]["cache"]["listening"] is False
    assert report["status"] == report["cache"]["status"] == "DEGRADED"
    assert report["cache"]["message"] == "Changes of the data are not received: no cached answers are served."


async def test_a_cache_that_is_off_needs_no_change_feed(demo_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive_nothing(*_: object) -> None: ...

    monkeypatch.setattr(app, "listen", receive_nothing)
    monkeypatch.setattr(types, "LISTEN_GRACE_SECONDS", 0)
    async with serving(demo_url, cache_enabled=False) as client:
        assert (await health(client))["status"] == "HEALTHY"
        cache = (await client.data(CACHE))["health"]["cache"]
    assert (cache["listening"], cache["breaker"]) == (False, None)


async def test_the_breaker_is_reported(demo_url: URL) -> None:
    async with serving(demo_url, redis_url="redis://127.0.0.1:1/0") as client:
        await until_listening(client)
        for number in range(5):
            await client.data(f'{{ cryptocurrency(symbol: "X{number}") {{ name }} }}')
        assert (await client.data(CACHE))["health"]["cache"]["breaker"] in ("open", "half-open")


async def test_a_database_that_hangs_delays_the_answer_by_a_second(database: Database, database_url: URL) -> None:
    async with serving(database_url) as client, database.transaction() as connection:
        await connection.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        started = time.monotonic()
        report = await health(client)
        assert time.monotonic() - started < 2
    assert report["database"]["message"] == "No answer within 1 s."


async def test_an_empty_database_is_reported(postgres: URL) -> None:
    async with serving(postgres) as client:
        report = await health(client)
    assert report["status"] == "UNHEALTHY"
    assert report["database"]["message"] == "The database has no tables yet: run candlegraph db upgrade."


async def test_stale_data_is_reported(database: Database, database_url: URL) -> None:
    async with database.transaction() as connection:
        fresh, old, _retired = [
            (await connection.execute(insert(Cryptocurrency).values(row).returning(Cryptocurrency.id))).scalar_one()
            for row in (
                {"symbol": "FRESH", "name": "Fresh", "base_interval": "H1"},
                {"symbol": "OLD", "name": "Old", "base_interval": "H1"},
                {"symbol": "RETIRED", "name": "Retired", "base_interval": "H1", "is_active": False},
            )
        ]
        model = (await connection.execute(insert(Model).values(name="m", version="1").returning(Model.id))).scalar_one()
        prices = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1.0, "source": "test"}
        candles = [(fresh, 1), (old, 6), (_retired, 6)]
        await connection.execute(
            insert(Candle),
            [{"cryptocurrency_id": coin, "open_time": NOW - timedelta(hours=age), **prices} for coin, age in candles],
        )
        targets = [NOW - timedelta(hours=2), NOW + timedelta(hours=2), NOW - timedelta(hours=8)]
        await connection.execute(
            insert(Prediction),
            [
                {
                    "cryptocurrency_id": old,
                    "model_id": model,
                    "predicted_at": target - timedelta(hours=1),
                    "target_at": target,
                    "predicted_price": 1.0,
                }
                for target in targets
            ],
        )
    async with serving(database_url) as client:
        data = (await health(client))["data"]
    assert data["newestCandleAt"] == (NOW - timedelta(hours=1)).isoformat()
    assert 3600 <= data["newestCandleAgeSeconds"] < 7300
    assert [coin["symbol"] for coin in data["stale"]] == ["OLD"]
    # The second is still ahead; the third is void, since a later candle is stored and its own is not.
    assert data["overduePredictions"] == 1
