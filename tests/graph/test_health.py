"""Health in the graph: what monitors alarm on, and what it says when something is away."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import URL, insert, text

from db.engine import Database, driver_url
from db.models import Candle, Cryptocurrency, Model, Prediction
from tests.application import Client, serving

HEALTH = """
{ health { status service version environment timestamp uptimeSeconds
  database { status message latencyMs version migration poolSize poolInUse embedded }
  cache { status message backend latencyMs usedMemoryMb connectedClients uptimeSeconds }
  data { newestCandleAt newestCandleAgeSeconds overduePredictions stale { symbol latest { openTime } } } } }
"""
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


async def health(client: Client) -> dict[str, Any]:
    report: dict[str, Any] = (await client.data(HEALTH))["health"]
    return report


async def test_all_is_well(client: Client) -> None:
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


async def test_redis_tells_its_figures(database_url: URL, redis_url: str) -> None:
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


async def test_a_database_that_hangs_costs_a_second(database: Database, database_url: URL) -> None:
    async with serving(database_url) as client, database.transaction() as connection:
        await connection.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        started = time.monotonic()
        report = await health(client)
        assert time.monotonic() - started < 2
    assert report["database"]["message"] == "No answer within 1 s."


async def test_an_empty_database_says_so(postgres: URL) -> None:
    async with serving(postgres) as client:
        report = await health(client)
    assert report["status"] == "UNHEALTHY"
    assert report["database"]["message"] == "The database has no tables yet: run candlegraph db upgrade."


async def test_data_that_grew_old(database: Database, database_url: URL) -> None:
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
