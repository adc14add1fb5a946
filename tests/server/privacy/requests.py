"""Requests of a principal, and the answer to a request that is not authenticated."""

import httpx

from tests.application import Client
from tests.waiting import eventually

COIN = '{ cryptocurrency(symbol: "AAA") { name } }'
VIEWER = "{ viewer { username } }"
VIEWER_TRADES = "{ viewer { username trades { totalCount } } }"


async def wait_until_listening(client: Client) -> None:
    """Wait until the server listens for changes, and so caches answers."""

    async def is_cached() -> bool:
        return not (await ask(client, COIN, None)).headers["x-cache"].startswith("bypass")

    await eventually(is_cached, 30)


async def ask(client: Client, query: str, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return await client.post("/graphql", json={"query": query}, headers=headers)


def assert_unauthenticated(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "data" not in answer.json()
