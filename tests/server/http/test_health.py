"""Health over REST."""

from datetime import datetime

import pytest
from sqlalchemy import URL

from db.engine import driver_url
from tests.application import Client, serving

NOWHERE = driver_url("postgresql://nobody@127.0.0.1:1/none")
PATHS = ["/health", "/health/db", "/health/cache", "/health/detailed", "/livez", "/readyz"]


@pytest.mark.parametrize("path", PATHS)
async def test_everything_is_healthy(client: Client, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 200
    assert response.json()["status"] == "healthy"


async def test_the_details(client: Client) -> None:
    about = (await client.get("/health")).json()
    assert (about["service"], about["version"]) == ("candlegraph", "0.1.0")
    assert datetime.fromisoformat(about["timestamp"]).tzinfo is not None
    detailed = (await client.get("/health/detailed")).json()
    # Values that differ between two requests.
    momentary = {name: detailed["database"][name] for name in ("latencyMs", "poolInUse")}
    assert detailed["database"] == (await client.get("/health/db")).json() | momentary
    assert detailed["cache"]["backend"] == "memory"
    tiers = (await client.get("/health/cache")).json()["tiers"]
    assert [(tier["tier"], tier["ttlSeconds"]) for tier in tiers] == [
        ("SHORT", 300),
        ("MEDIUM", 1_800),
        ("LONG", 3_600),
    ]
    assert (tiers[0]["hits"], tiers[0]["hitRate"]) == (0, None)


@pytest.mark.parametrize(("path", "status"), list(zip(PATHS, [200, 503, 200, 503, 200, 503], strict=True)))
async def test_without_the_database(path: str, status: int) -> None:
    async with serving(NOWHERE) as client:
        response = await client.get(path)
    assert response.status_code == status
    assert response.json()["status"] == ("healthy" if status == 200 else "unhealthy")


async def test_a_degraded_server_still_serves(demo_url: URL) -> None:
    async with serving(demo_url, redis_url="redis://127.0.0.1:1/0") as client:
        assert (await client.get("/readyz")).status_code == 200
        for path in ("/health/cache", "/health/detailed"):
            response = await client.get(path)
            assert response.status_code == 200
            assert response.json()["status"] == "degraded"
