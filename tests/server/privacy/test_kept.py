"""What is kept of private answers: in memory, for requests in the same bytes, by HTTP caches, under hashes."""

import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import URL

from tests.application import Client, serving
from tests.server.privacy.asking import COIN, heard
from tests.server.privacy.world import ANN, BEN, REQUIRED, ROOT, Asker, askers, by_key, by_token

# What tells one viewer's answer from another's.
ANSWERS = {"anonymous": 0, "ann": 7, "ben": 7, "root": 25}
EVERYBODY = [asker for asker in askers() if asker.name in ANSWERS]
# So that browsers ask before they send it for another site.
PREFLIGHT = {"graphql-preflight": "1"}
FIRST = "{ trades(first: 1) { totalCount nodes { id } } }"


@pytest.fixture
async def server(world_url: URL) -> AsyncIterator[Client]:
    async with serving(world_url, **REQUIRED) as client:
        await heard(client)
        yield client


async def get(client: Client, query: str, asker: Asker, **headers: str) -> httpx.Response:
    return await client.get("/graphql", params={"query": query}, headers={**PREFLIGHT, **asker.headers, **headers})


async def test_in_all_orders(server: Client) -> None:
    """The same bytes, never sent before, by one after the other and again: each gets their own."""
    known: dict[str, Any] = {}
    for number, order in enumerate(itertools.permutations(EVERYBODY)):
        query = FIRST.replace("trades", f"order{number}: trades")
        for asker in order * 2:
            answer = await server.post("/graphql", json={"query": query}, headers=asker.headers)
            found = answer.json()["data"][f"order{number}"]
            assert found["totalCount"] == ANSWERS[asker.name], (asker.name, order)
            assert known.setdefault(asker.name, found) == found
    assert answer.headers["x-cache"].startswith("hit-memory")
    # Ann and Ben have as many, but not the same.
    assert len({str(found) for found in known.values()}) == len(known)


async def test_one_viewer_has_one_answer(server: Client) -> None:
    """By token and by keys, but for those of an administrator that see their own alone."""
    for first, *others in ([by_token(ANN), by_key(1), by_key(2)], [by_token(ROOT), by_key(6)], [by_key(4), by_key(5)]):
        for asker in (first, first):
            await get(server, FIRST, asker)
        for asker in others:
            assert (await get(server, FIRST, asker)).headers["x-cache"].startswith("hit-memory"), asker.name


async def test_what_http_is_told(server: Client) -> None:
    answers = {asker.name: await get(server, FIRST, asker) for asker in EVERYBODY}
    for answer in answers.values():
        assert answer.headers["vary"] == "Accept, Authorization"
        assert answer.headers["cache-control"].endswith(", private")
    assert len({answer.headers["etag"] for answer in answers.values()}) == len(answers)
    for mine, other in itertools.permutations(EVERYBODY, 2):
        etag = answers[other.name].headers["etag"]
        again = await get(server, FIRST, mine, **{"if-none-match": etag})
        assert (again.status_code, again.content) == (200, answers[mine.name].content)
        known = {"if-none-match": f"{etag}, {answers[mine.name].headers['etag']}"}
        assert (await get(server, FIRST, mine, **known)).status_code == 304
    for asker in EVERYBODY:
        answer = await get(server, COIN, asker)
        assert answer.headers["cache-control"].endswith(", public")
        assert answer.headers["vary"] == "Accept, Authorization"
    keys = await get(server, "{ viewer { apiKeys { totalCount } } }", by_token(ANN))
    assert keys.headers["cache-control"] == "no-store"


async def test_what_is_public_is_kept_once(server: Client) -> None:
    query = '{ cryptocurrency(symbol: "BBB") { name } }'
    for asker in EVERYBODY * 2:
        answer = await get(server, query, asker)
    assert answer.headers["x-cache"].startswith("hit-memory")
    first, *others = [(await get(server, query.replace("BBB", "AAA"), asker)) for asker in (*EVERYBODY, *EVERYBODY)]
    assert {answer.headers["etag"] for answer in others} == {first.headers["etag"]}


async def test_by_hash(server: Client) -> None:
    """Registered by one, asked for by others."""
    digest = hashlib.sha256(FIRST.encode()).hexdigest()
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    registered = {"query": FIRST, "extensions": extensions}
    await server.post("/graphql", json=registered, headers=by_token(ROOT).headers)
    for order in itertools.permutations(EVERYBODY, 3):
        for asker in order:
            posted = await server.post("/graphql", json={"extensions": extensions}, headers=asker.headers)
            params = {"extensions": json.dumps(extensions)}
            got = await server.get("/graphql", params=params, headers={**PREFLIGHT, **asker.headers})
            for answer in (posted, got):
                assert answer.json()["data"]["trades"]["totalCount"] == ANSWERS[asker.name]


@pytest.mark.parametrize("name", [":viewer", "x-viewer", "candlegraph.viewer", "x-user", "cookie"])
async def test_nobody_says_who_they_are_by_another_header(server: Client, name: str) -> None:
    for asker in (by_token(BEN), by_token(BEN)):
        await get(server, FIRST, asker)
    for claimed in (f"{BEN} 0", f"{BEN} False", "0", str(BEN)):
        answer = await server.get("/graphql", params={"query": FIRST}, headers={**PREFLIGHT, name: claimed})
        assert answer.json()["data"]["trades"] == {"totalCount": 0, "nodes": []}
        answer = await get(server, FIRST, by_token(ANN), **{name: claimed})
        assert (
            answer.json()["data"]["trades"]["nodes"]
            != (await get(server, FIRST, by_token(BEN))).json()["data"]["trades"]["nodes"]
        )


async def test_variables_are_not_the_viewer(server: Client) -> None:
    """Who asks is a variable of the plan, which no document and no request names."""
    body = {"query": FIRST, "variables": {"viewer#": BEN, "viewer": BEN}}
    for asker in EVERYBODY * 2:
        answer = await server.post("/graphql", json=body, headers=asker.headers)
        assert answer.json()["data"]["trades"]["totalCount"] == ANSWERS[asker.name]
