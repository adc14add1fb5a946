"""Writes that are sent again, and reads that follow writes."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import URL

from graph.identity.scopes import Scope
from tests.application import Client, serving
from tests.graph.mutations.asking import attempt, mutate, new_name, refused, scalar, signed_in

TRADE = {"symbol": "btc", "side": "SELL", "price": "1", "quantity": "1", "timestamp": "now-1h"}


async def traded(client: Client, **given: Any) -> str:
    id_: str = (await mutate(client, "recordTrade", "trade { id }", **(TRADE | given)))["trade"]["id"]
    return id_


async def test_the_same_key_writes_once(alice: Client, bob: Client) -> None:
    key = new_name()
    first = await traded(alice, idempotencyKey=key)
    assert await traded(alice, idempotencyKey=key) == first
    assert await traded(bob, idempotencyKey=key) != first
    assert await traded(alice) != first
    assert await refused(alice, "recordTrade", **(TRADE | {"price": "2"}), idempotencyKey=key) == [
        ("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")
    ]
    assert await refused(alice, "createStrategy", name="x", idempotencyKey=key) == [
        ("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")
    ]


async def test_at_once_too(alice: Client) -> None:
    key = new_name()
    ids = await asyncio.gather(*(traded(alice, idempotencyKey=key) for _ in range(8)))
    assert len(set(ids)) == 1


async def test_what_was_refused_may_be_tried_again(alice: Client) -> None:
    key = new_name()
    await refused(alice, "recordTrade", **(TRADE | {"symbol": "NONE"}), idempotencyKey=key)
    await traded(alice, idempotencyKey=key)


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_keys_have_a_length(alice: Client, key: str) -> None:
    assert await refused(alice, "recordTrade", **TRADE, idempotencyKey=key) == [("INVALID_TEXT", "idempotencyKey")]


async def test_payloads_are_answered_alike(alice: Client) -> None:
    key = new_name()
    selection = "model { name } predictions { predictedPrice cryptocurrency { symbol } } settled"
    given = {
        "modelName": key,
        "modelVersion": "1",
        "predictions": [{"symbol": "BTC", "targetAt": "now+1h", "predictedPrice": price} for price in (1, 2)],
        "idempotencyKey": key,
    }
    assert await mutate(alice, "recordPredictions", selection, **given) == await mutate(
        alice, "recordPredictions", selection, **given
    )


LAST = "query($s: String!) { cryptocurrency(symbol: $s) { name latest { close } } }"


@pytest.mark.parametrize("has_redis", [False, True])
async def test_a_writer_reads_what_it_wrote(written_url: URL, redis_url: str, has_redis: bool) -> None:
    settings = {"redis_url": redis_url} if has_redis else {}
    async with serving(written_url, **settings) as client:
        symbol = new_name().upper()
        await mutate(client, "addCryptocurrency", "", symbol=symbol, name="0", baseInterval="H1")
        await heard(client, symbol)
        for number in range(60):
            await mutate(client, "updateCryptocurrency", "", symbol=symbol, name=str(number))
            assert (await client.data(LAST, s=symbol))["cryptocurrency"]["name"] == str(number)
            # From now on it is kept, until the next one.
            await client.data(LAST, s=symbol)


async def test_an_owner_reads_what_it_wrote(written_url: URL) -> None:
    count = "{ viewer { trades { totalCount } } trades { totalCount } }"
    async with signed_in(written_url) as client:
        for number in range(1, 30):
            await traded(client)
            for _ in range(2):
                found = await client.data(count)
                assert (found["viewer"]["trades"]["totalCount"], found["trades"]["totalCount"]) == (number, number)


async def heard(client: Client, symbol: str) -> None:
    async with asyncio.timeout(5):
        while True:
            response = await client.post("/graphql", json={"query": LAST, "variables": {"s": symbol}})
            if response.headers["x-cache"].startswith("hit"):
                return


async def test_nobody_waits_where_nobody_listens(written_url: URL) -> None:
    async with serving(written_url, cache_enabled=False) as client, asyncio.timeout(5):
        for _ in range(20):
            await traded(client)


async def test_mutations_are_never_kept(alice: Client) -> None:
    body = {"query": 'mutation { markAlertsRead(input: { before: "now" }) { marked } }'}
    for _ in range(3):
        response = await alice.post("/graphql", json=body)
        assert (response.headers["cache-control"], "x-cache" in response.headers) == ("no-store", False)


async def test_all_of_a_mutation_is_one_transaction(written_url: URL) -> None:
    """What fails last leaves nothing of what came before."""
    name = new_name()
    async with signed_in(written_url, Scope.WRITE) as client:
        given = {"modelName": name, "modelVersion": "1", "idempotencyKey": name}
        late = {"symbol": "BTC", "targetAt": "now+1h", "predictedPrice": 1e308}
        payload = await attempt(client, "recordPredictions", "", **given, predictions=[late])
    assert payload["userErrors"]
    counts = (
        "SELECT (SELECT count(*) FROM models WHERE name = :n) + (SELECT count(*) FROM idempotency_keys WHERE key = :n)"
    )
    assert await scalar(written_url, counts, n=name) == 0
