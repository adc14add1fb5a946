"""Rate limits over HTTP."""

import pytest
from sqlalchemy import URL

from graph.identity.scopes import Scope
from tests.application import Client, serving
from tests.people import SIGNING, key_of, signed

# Fifty rows.
PAGE = "{ models { nodes { id } } }"
LEFT = "{ rateLimit { limit remaining perMinute resetAt } }"


async def send(client: Client, query: str = PAGE, **headers: str) -> tuple[int, int, str | None]:
    """The status, what is left, and after how many seconds to try again."""
    response = await client.post("/graphql", json={"query": query}, headers=headers)
    left = int(response.headers["ratelimit-remaining"])
    return response.status_code, left, response.headers.get("retry-after")


async def test_without_limits_there_are_no_headers(client: Client) -> None:
    response = await client.post("/graphql", json={"query": LEFT})
    assert response.json() == {"data": {"rateLimit": None}}
    assert "ratelimit-limit" not in response.headers


async def test_an_address_spends_its_points(demo_url: URL) -> None:
    async with serving(demo_url, rate_limit_anonymous=60) as client:
        # Fifty rows are requested, and there are three: the rest is refunded.
        assert await send(client) == (200, 60 - 4, None)
        # From the cache, it costs one point.
        assert (await send(client))[1] in (60 - 4 - 4, 60 - 4 - 1)
        for _ in range(60):
            await client.post("/graphql", json={"query": PAGE})
        response = await client.post("/graphql", json={"query": PAGE})
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    assert response.headers["ratelimit-limit"] == "60"
    error = response.json()["errors"][0]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert error["extensions"]["cost"] == 51
    assert error["extensions"]["limit"] == 60


async def test_an_operation_that_never_fits_has_no_retry_after(demo_url: URL) -> None:
    async with serving(demo_url, rate_limit_anonymous=60) as client:
        response = await client.post("/graphql", json={"query": "{ signals(first: 100) { nodes { id } } }"})
    assert (response.status_code, "retry-after" in response.headers) == (429, False)
    assert "select less" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("query", ["{", "{ nothing }", "{ node(id: 1.5) { id } }"])
async def test_rejected_operations_cost_points(demo_url: URL, query: str) -> None:
    async with serving(demo_url, rate_limit_anonymous=25) as client:
        statuses = [(await client.post("/graphql", json={"query": query})).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_each_key_has_its_own_bucket(demo_url: URL) -> None:
    one, other = await key_of(demo_url, Scope.READ), await key_of(demo_url, Scope.READ)
    async with serving(demo_url, **SIGNING, rate_limit=100, rate_limit_anonymous=60) as client:
        await client.post("/graphql", json={"query": PAGE}, headers=signed(one))
        left = [
            (await client.post("/graphql", json={"query": LEFT}, headers=headers)).json()["data"]["rateLimit"]
            for headers in (signed(one), signed(other), {})
        ]
    assert [(found["limit"], round(found["remaining"]), found["perMinute"]) for found in left] == [
        (100, 96, 100),
        (100, 100, 100),
        (60, 60, 60),
    ]


async def test_with_auth_mode_required_there_are_limits(demo_url: URL) -> None:
    async with serving(demo_url, **SIGNING) as client:
        assert (await client.data(LEFT))["rateLimit"]["limit"] == 60_000


async def test_servers_share_buckets(demo_url: URL, redis_url: str) -> None:
    key = await key_of(demo_url, Scope.READ)
    settings = {**SIGNING, "rate_limit": 100, "redis_url": redis_url, "cache_enabled": False}
    async with serving(demo_url, **settings) as one, serving(demo_url, **settings) as other:
        await one.post("/graphql", json={"query": PAGE}, headers=signed(key))
        found = (await other.post("/graphql", json={"query": LEFT}, headers=signed(key))).json()
    assert round(found["data"]["rateLimit"]["remaining"]) in (49, 96)
