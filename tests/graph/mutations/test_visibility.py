"""A write is visible to the next read of the client, in spite of all caches; without a change feed it does not wait."""

import time
from typing import Any

import pytest
from sqlalchemy import URL, text

from server import app
from tests.graph.mutations.people import Person, people
from tests.graph.mutations.test_candles import candle as candle_of
from tests.graph.mutations.test_candles import recorded
from tests.graph.mutations.test_trades import RECORD, TRADE

TRADES = "{ trades { totalCount nodes { id quantity } } }"
MINE = "{ viewer { username trades { totalCount } } }"
COIN = '{ cryptocurrency(symbol: "BTC") { name latest { close } candles(interval: D1) { close } } }'
RENAME = """mutation($input: UpdateCryptocurrencyInput!) {
  updateCryptocurrency(input: $input) { userErrors { code } cryptocurrency { name } } }"""
TIMES = 50


async def warm_caches(person: Person) -> None:
    """Sends each query by POST and GET often enough to be cached in memory and in Redis."""
    for query in (TRADES, COIN, MINE):
        for _ in range(3):
            await person.data(query)
            await person.get("/graphql", params={"query": query})


async def read(person: Person, query: str, *, by_get: bool) -> Any:
    if not by_get:
        return await person.data(query)
    return (await person.get("/graphql", params={"query": query})).json()["data"]


@pytest.mark.parametrize("mode", ["required", "open"])
@pytest.mark.parametrize("tiers", ["memory", "redis"])
async def test_a_write_is_visible_to_the_next_read(database_url: URL, redis_url: str, mode: str, tiers: str) -> None:
    settings: dict[str, Any] = {} if mode == "required" else {"auth_mode": "open", "secret_key": None}
    async with people(database_url, **settings, redis_url=redis_url if tiers == "redis" else None) as all_:
        one = all_.ann if mode == "required" else all_.anonymous
        await warm_caches(one)
        for number in range(1, TIMES + 1):
            by_get = number % 2 == 0
            quantity = f"0.{number:03}"
            payload = (await one.data(RECORD, input={**TRADE, "quantity": quantity}))["recordTrade"]
            trades = (await read(one, TRADES, by_get=by_get))["trades"]
            assert trades["totalCount"] == number
            assert payload["trade"]["id"] in [node["id"] for node in trades["nodes"]] or number > 50
            if mode == "required":
                assert (await read(one, MINE, by_get=by_get))["viewer"]["trades"]["totalCount"] == number
            await one.data(RENAME, input={"symbol": "BTC", "name": f"n{number}"})
            assert (await read(one, COIN, by_get=by_get))["cryptocurrency"]["name"] == f"n{number}"
            await recorded(one, candle_of(0, 2.0 + number))
            coin = (await read(one, COIN, by_get=by_get))["cryptocurrency"]
            assert coin["latest"] == {"close": 2.0 + number}
            assert coin["candles"] == [{"close": 2.0 + number}]
        # The caches are in use: otherwise this test proves nothing.
        for _ in range(3):
            response = await one.get("/graphql", params={"query": COIN})
        assert response.headers["x-cache"].startswith("hit")


async def test_without_a_listener_a_mutation_does_not_wait(database_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive_nothing(*_: object) -> None: ...

    monkeypatch.setattr(app, "listen", receive_nothing)
    async with people(database_url) as all_:
        started = time.perf_counter()
        for _ in range(3):
            assert await all_.ann.errors(RECORD, input=TRADE) == []
        assert time.perf_counter() - started < 1.5
        assert (await all_.ann.data(TRADES))["trades"]["totalCount"] == 3


LISTENERS = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND query ~* 'listen|pg_postmaster_start_time' AND pid <> pg_backend_pid()"""


async def test_without_a_connection_to_the_change_feed_no_stale_answers_are_served(database_url: URL) -> None:
    async with people(database_url) as all_:
        await warm_caches(all_.ann)
        for number in range(1, 11):
            async with all_.database.transaction() as connection:
                assert (await connection.execute(text(LISTENERS))).scalar_one() >= 0
            started = time.perf_counter()
            assert await all_.ann.errors(RECORD, input=TRADE) == []
            assert time.perf_counter() - started < 0.9
            assert (await all_.ann.data(TRADES))["trades"]["totalCount"] == number
