"""The cache over HTTP: the source of answers, their headers, and how soon a change is seen."""

import functools
import gc
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
import redis.asyncio as redis
from sqlalchemy import URL

from cache.entries import Entry
from tests.application import Client, serving
from tests.conftest import create_database
from tests.waiting import eventually

COIN = '{ cryptocurrency(symbol: "BTC") { name } }'
PRICE = '{ cryptocurrency(symbol: "BTC") { latest { close } } }'


_numbers = itertools.count(1)


@pytest.fixture
async def url(postgres: URL, demo_url: URL, demo_template: str, request: pytest.FixtureRequest) -> URL:
    """The demo data; a copy of it for a test that writes."""
    if "writer" not in request.fixturenames:
        return demo_url
    name = f"caching_{next(_numbers)}"
    return await create_database(postgres, name, template=demo_template)


@pytest.fixture
async def writer(url: URL) -> AsyncIterator[Any]:
    """Another connection to the database, which writes with SQL."""
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    yield connection
    await connection.close()


@pytest.fixture
async def server(url: URL) -> AsyncIterator[Client]:
    async with serving(url) as client:
        await until_cached(client)
        yield client


async def until_cached(client: Client) -> None:
    """Wait until the server is notified of changes, and so caches answers."""
    await eventually(lambda: has_source(client, COIN, "miss", "hit"))


async def has_source(client: Client, query: str, *sources: str) -> bool:
    """Whether the answer to a query comes from one of these sources, as X-Cache has it."""
    found = (await client.post("/graphql", json={"query": query})).headers["x-cache"]
    return found.startswith(sources)


async def get(client: Client, query: str, **headers: str) -> httpx.Response:
    return await client.get("/graphql", params={"query": query}, headers=headers)


async def test_x_cache_names_the_source_of_an_answer(server: Client) -> None:
    answers = [await server.post("/graphql", json={"query": PRICE}) for _ in range(2)]
    assert [answer.headers["x-cache"] for answer in answers] == ["miss; tier=SHORT", "hit-memory; tier=SHORT"]
    assert answers[0].content == answers[1].content
    # Formatted differently, and by another method, it is the same query.
    again = await get(server, 'query {  cryptocurrency(symbol: "BTC") { latest { close } } }')
    assert (again.headers["x-cache"], again.content) == ("hit-memory; tier=SHORT", answers[0].content)


async def test_the_caching_headers_of_an_answer(server: Client) -> None:
    answer = await get(server, COIN)
    assert answer.headers["vary"] == "Accept, Authorization"
    max_age, scope = answer.headers["cache-control"].split(", ")
    assert scope == "public"
    assert 3240 <= int(max_age.removeprefix("max-age=")) <= 3600
    assert int(answer.headers["age"]) <= 5
    etag = answer.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        unchanged = await get(server, COIN, **{"if-none-match": known})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
        assert "content-type" not in unchanged.headers
    assert (await get(server, COIN, **{"if-none-match": '"other"'})).status_code == 200
    posted = await server.post("/graphql", json={"query": COIN}, headers={"if-none-match": etag})
    assert "etag" not in posted.headers
    assert (posted.status_code, posted.json()) == (200, {"data": {"cryptocurrency": {"name": "Bitcoin"}}})


async def test_age_grows(server: Client) -> None:
    async def is_older() -> bool:
        return int((await server.post("/graphql", json={"query": COIN})).headers["age"]) >= 1

    await eventually(is_older)


@pytest.mark.parametrize(
    "query",
    [
        "{ health { status } }",
        "{ __typename }",
        "{ nonsense }",
        '{ cryptocurrency(symbol: "BTC") { candles(last: 0) { close } } }',
        '{ cryptocurrency(symbol: "BTC") { name } health { service } }',
    ],
)
async def test_answers_that_are_not_cached(server: Client, query: str) -> None:
    for _ in range(3):
        answer = await server.post("/graphql", json={"query": query})
        assert answer.headers["cache-control"] == "no-store"
        assert "x-cache" not in answer.headers


@pytest.mark.parametrize(
    ("query", "tier"),
    [
        ('{ cryptocurrency(symbol: "BTC") { candles(to: "2026-11-01T00:00:00Z", last: 5) { close } } }', "LONG"),
        ('{ cryptocurrency(symbol: "BTC") { series(to: "2026-11-01T00:00:00Z", last: 5) { close } } }', "LONG"),
        ('{ cryptocurrency(symbol: "BTC") { candles(to: "2026-11-01T00:00:00Z", last: 5) { isClosed } } }', "SHORT"),
        ('{ cryptocurrency(symbol: "BTC") { candles(to: "2126-11-01T00:00:00Z", last: 5) { close } } }', "SHORT"),
        ('{ cryptocurrency(symbol: "BTC") { candles(last: 5) { close } } }', "SHORT"),
        ("{ models { nodes { name } } }", "LONG"),
        ("{ models { totalCount nodes { predictions { totalCount } } } }", "MEDIUM"),
        ("{ signals { nodes { prediction { status } } } }", "SHORT"),
        ("{ signals { nodes { prediction { predictedPrice } cryptocurrency { name } } } }", "MEDIUM"),
        ('{ node(id: "Q3J5cHRvY3VycmVuY3k6MQ==") { id } }', "LONG"),
        ('{ node(id: "U2lnbmFsOjE=") { ... on Signal { type } } }', "MEDIUM"),
        ("{ alerts { nodes { message } } models { totalCount } }", "SHORT"),
    ],
)
async def test_the_strictest_field_decides(server: Client, query: str, tier: str) -> None:
    assert (await server.post("/graphql", json={"query": query})).headers["x-cache"] == f"miss; tier={tier}"


async def test_a_range_that_ends_by_a_variable(server: Client) -> None:
    """One plan; whether the range is in the past is decided for each request."""
    query = 'query($to: DateTime) { cryptocurrency(symbol: "BTC") { candles(to: $to, last: 5) { close } } }'
    tiers = []
    for to in ("2026-11-01T00:00:00Z", "2126-11-01T00:00:00Z", None, "2026-11-02T00:00:00Z"):
        answer = await server.post("/graphql", json={"query": query, "variables": {"to": to}})
        tiers.append(answer.headers["x-cache"])
    assert tiers == [f"miss; tier={tier}" for tier in ("LONG", "SHORT", "SHORT", "LONG")]


async def test_a_time_relative_to_now_is_found_again(server: Client) -> None:
    query = 'query($from: DateTime) { cryptocurrency(symbol: "BTC") { candles(from: $from) { close } } }'
    literal = '{ cryptocurrency(symbol: "BTC") { candles(from: "now-1h") { close } } }'
    for sent, grain in (({"query": query, "variables": {"from": "now-1h"}}, 60), ({"query": literal}, 60)):
        answers = [await server.post("/graphql", json=sent) for _ in range(2)]
        assert answers[1].headers["x-cache"] == "hit-memory; tier=SHORT"
        assert int(answers[1].headers["cache-control"].split(",")[0].removeprefix("max-age=")) <= grain
    other = await server.post("/graphql", json={"query": query, "variables": {"from": "now-2h"}})
    assert other.headers["x-cache"] == "miss; tier=SHORT"


async def test_other_methods_are_not_answered_from_the_cache(server: Client) -> None:
    assert (await get(server, COIN)).status_code == 200
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert (await server.request(method, "/graphql", params={"query": COIN})).status_code == 405
    head = await server.head("/graphql", params={"query": COIN})
    assert (head.status_code, head.headers["x-cache"]) == (200, "hit-memory; tier=LONG")


async def test_a_cached_answer_has_the_media_type_that_is_accepted(server: Client) -> None:
    types = ["application/json", "application/graphql-response+json"]
    for media_type in types * 2:
        answer = await server.post("/graphql", json={"query": COIN}, headers={"accept": media_type})
        assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert (await server.post("/graphql", json={"query": COIN}, headers={"accept": "image/png"})).status_code == 406
    body = b'{"query": "{ cryptocurrency(symbol: \\"BTC\\") { name } }"}'
    for content_type, status in (("application/json", 200), ("text/plain", 415), ("application/json", 200)):
        answer = await server.post("/graphql", content=body, headers={"content-type": content_type})
        assert answer.status_code == status


async def test_a_change_is_seen_by_the_next_read(server: Client, writer: Any) -> None:
    """A change by SQL; the time from the commit to the first answer that shows it."""
    waits = []
    for number in range(100):
        await server.post("/graphql", json={"query": COIN})
        await writer.execute("UPDATE cryptocurrencies SET name = $1 WHERE symbol = 'BTC'", f"Coin {number}")
        committed = time.perf_counter()

        async def is_shown(name: str = f"Coin {number}") -> bool:
            return bool((await server.data(COIN))["cryptocurrency"]["name"] == name)

        await eventually(is_shown, every=0)
        waits.append(time.perf_counter() - committed)
    assert sorted(waits)[98] < 0.05


async def test_a_change_of_another_coin_leaves_an_answer_alone(server: Client, writer: Any) -> None:
    await server.data(PRICE)
    of_coin = "(SELECT id FROM cryptocurrencies WHERE symbol = $1)"
    update = f"UPDATE market_data SET volume = volume + 1 WHERE cryptocurrency_id = {of_coin}"
    other_price = PRICE.replace("BTC", "ETH")
    await server.data(other_price)
    await writer.execute(update, "ETH")
    await eventually(lambda: has_source(server, other_price, "miss"))
    assert await has_source(server, PRICE, "hit-memory")
    await writer.execute(update, "BTC")
    await eventually(lambda: has_source(server, PRICE, "miss"))


async def test_a_coin_that_comes_and_goes(server: Client, writer: Any) -> None:
    """The answer that a coin does not exist is cached, too."""
    query = '{ cryptocurrency(symbol: "NEW") { name latest { close } } }'

    async def answer_is(expected: Any) -> bool:
        return await server.data(query) == {"cryptocurrency": expected}

    assert await answer_is(None)
    await writer.execute("INSERT INTO cryptocurrencies (symbol, name, base_interval) VALUES ('NEW', 'New', 'H1')")
    await eventually(lambda: answer_is({"name": "New", "latest": None}))
    await writer.execute("UPDATE cryptocurrencies SET symbol = 'NEWER' WHERE symbol = 'NEW'")
    await eventually(lambda: answer_is(None))


async def test_without_the_change_feed_nothing_is_served_from_the_cache(url: URL, writer: Any) -> None:
    async with serving(url) as client:
        await until_cached(client)
        await client.data(COIN)
        await writer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%pg_listening_channels%'"
        )

        async def bypassed() -> httpx.Response | None:
            answer = await client.post("/graphql", json={"query": COIN})
            return answer if answer.headers["x-cache"].startswith("bypass") else None

        # Often, as the server soon connects again.
        answer = await eventually(bypassed, every=0)
        assert answer is not None
        assert (answer.headers["x-cache"], answer.headers["cache-control"]) == ("bypass", "no-store")
        await until_cached(client)
        assert (await client.post("/graphql", json={"query": COIN})).headers["x-cache"].startswith("hit")


async def test_servers_share_what_is_in_redis(url: URL, redis_url: str, writer: Any) -> None:
    query = '{ cryptocurrency(symbol: "ETH") { name candles(last: 7) { volume } } }'
    async with serving(url, redis_url=redis_url) as one, serving(url, redis_url=redis_url) as other:
        await until_cached(one)
        await until_cached(other)
        first = await one.get("/graphql", params={"query": query})
        await eventually(lambda: is_in_redis(redis_url, first.content))
        second = await other.get("/graphql", params={"query": query})
        assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss; tier=SHORT", "hit-redis; tier=SHORT")
        assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])
        await writer.execute("UPDATE cryptocurrencies SET name = 'Ether' WHERE symbol = 'ETH'")

        async def is_renamed(client: Client) -> bool:
            return bool((await client.data(query))["cryptocurrency"]["name"] == "Ether")

        for client in (other, one):
            await eventually(functools.partial(is_renamed, client))


async def is_in_redis(url: str, body: bytes) -> bool:
    """Whether a string in Redis contains this answer."""
    async with redis.from_url(url) as connection:
        keys = [key async for key in connection.scan_iter(_type="string")]
        return any(body in (value or b"") for value in await connection.mget(keys)) if keys else False


async def test_without_the_cache_every_answer_is_computed(url: URL) -> None:
    async with serving(url, cache_enabled=False) as client:
        for _ in range(2):
            answer = await client.post("/graphql", json={"query": COIN})
            assert answer.headers["cache-control"] == "no-store"
            assert "x-cache" not in answer.headers


async def test_similar_queries_have_answers_of_their_own(server: Client) -> None:
    """The same statement, and the same names of fields, in another order."""
    first = '{ a: __typename x: cryptocurrency(symbol: "BTC") { name } }'
    other = '{ a: cryptocurrency(symbol: "BTC") { name } x: __typename }'
    assert await server.data(first) == {"a": "Query", "x": {"name": "Bitcoin"}}
    assert await server.data(other) == {"a": {"name": "Bitcoin"}, "x": "Query"}


async def test_long_names_that_clients_choose_take_no_memory_in_keys(server: Client) -> None:
    name, symbol = "A" * 50_000, "S" * 50_000
    query = f"query {name}($symbol: String!) {{ cryptocurrency(symbol: $symbol) {{ name }} }}"
    answer = await server.post("/graphql", json={"query": query, "variables": {"symbol": symbol}})
    assert answer.json() == {"data": {"cryptocurrency": None}}
    accept = "application/json, " + "x" * 5_000
    assert (await server.get("/graphql", params={"query": COIN}, headers={"accept": accept})).status_code == 200
    for entry in gc.get_objects():
        if isinstance(entry, Entry):
            assert len(entry.key) < 200
            assert all(len(tag.member or "") <= 20 for tag in entry.tags)
