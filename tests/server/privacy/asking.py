"""Asking as somebody, and being refused."""

import asyncio

import httpx

from tests.application import Client

COIN = '{ cryptocurrency(symbol: "AAA") { name } }'
WHO = "{ viewer { username } }"
MINE = "{ viewer { username trades { totalCount } } }"


async def heard(client: Client) -> None:
    """Wait until the server hears changes."""
    for _ in range(200):
        if not (await client.post("/graphql", json={"query": COIN})).headers["x-cache"].startswith("bypass"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("changes are not heard")


async def ask(client: Client, query: str, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return await client.post("/graphql", json={"query": query}, headers=headers)


def assert_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "data" not in answer.json()
