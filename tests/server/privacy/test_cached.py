"""Cached private answers: in memory, for requests of equal bytes, in HTTP caches and by hashes of documents."""

import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import URL

from tests.application import Client, serving
from tests.server.privacy.requests import COIN, wait_until_listening
from tests.server.privacy.world import ANN, BEN, REQUIRED, ROOT, Principal, by_key, by_token, principals

# The number of trades that each viewer sees.
TRADES = {"anonymous": 0, "ann": 7, "ben": 7, "root": 25}
SIGNED_IN = [principal for principal in principals() if principal.name in TRADES]
# With this header, browsers send a preflight request before a request to another origin.
PREFLIGHT = {"graphql-preflight": "1"}
FIRST = "{ trades(first: 1) { totalCount nodes { id } } }"


@pytest.fixture
async def server(world_url: URL) -> AsyncIterator[Client]:
    async with serving(world_url, **REQUIRED) as client:
        await wait_until_listening(client)
        yield client


async def get(client: Client, query: str, principal: Principal, **headers: str) -> httpx.Response:
    return await client.get("/graphql", params={"query": query}, headers={**PREFLIGHT, **principal.headers, **headers})


async def test_in_all_orders(server: Client) -> None:
    """New requests of equal bytes, by one principal after the other and again: each gets their own rows."""
    known: dict[str, Any] = {}
    for number, order in enumerate(itertools.permutations(SIGNED_IN)):
        query = FIRST.replace("trades", f"order{number}: trades")
        for principal in order * 2:
            answer = await server.post("/graphql", json={"query": query}, headers=principal.headers)
            found = answer.json()["data"][f"order{number}"]
            assert found["totalCount"] == TRADES[principal.name], (principal.name, order)
            assert known.setdefault(principal.name, found) == found
    assert answer.headers["x-cache"].startswith("hit-memory")
    # Ann and Ben have equally many trades, but not the same.
    assert len({str(found) for found in known.values()}) == len(known)


async def test_one_viewer_has_one_answer(server: Client) -> None:
    """By token and by keys, except for an administrator's keys without ADMIN, which see their own rows only."""
    for first, *others in ([by_token(ANN), by_key(1), by_key(2)], [by_token(ROOT), by_key(6)], [by_key(4), by_key(5)]):
        for principal in (first, first):
            await get(server, FIRST, principal)
        for principal in others:
            assert (await get(server, FIRST, principal)).headers["x-cache"].startswith("hit-memory"), principal.name


async def test_http_headers(server: Client) -> None:
    answers = {principal.name: await get(server, FIRST, principal) for principal in SIGNED_IN}
    for answer in answers.values():
        assert answer.headers["vary"] == "Accept, Authorization"
        assert answer.headers["cache-control"].endswith(", private")
    assert len({answer.headers["etag"] for answer in answers.values()}) == len(answers)
    for mine, other in itertools.permutations(SIGNED_IN, 2):
        etag = answers[other.name].headers["etag"]
        again = await get(server, FIRST, mine, **{"if-none-match": etag})
        assert (again.status_code, again.content) == (200, answers[mine.name].content)
        known = {"if-none-match": f"{etag}, {answers[mine.name].headers['etag']}"}
        assert (await get(server, FIRST, mine, **known)).status_code == 304
    for principal in SIGNED_IN:
        answer = await get(server, COIN, principal)
        assert answer.headers["cache-control"].endswith(", public")
        assert answer.headers["vary"] == "Accept, Authorization"
    keys = await get(server, "{ viewer { apiKeys { totalCount } } }", by_token(ANN))
    assert keys.headers["cache-control"] == "no-store"


async def test_a_public_answer_is_cached_once(server: Client) -> None:
    query = '{ cryptocurrency(symbol: "BBB") { name } }'
    for principal in SIGNED_IN * 2:
        answer = await get(server, query, principal)
    assert answer.headers["x-cache"].startswith("hit-memory")
    first, *others = [
        (await get(server, query.replace("BBB", "AAA"), principal)) for principal in (*SIGNED_IN, *SIGNED_IN)
    ]
    assert {answer.headers["etag"] for answer in others} == {first.headers["etag"]}


async def test_by_hash(server: Client) -> None:
    """Registered by one principal, and requested by others."""
    digest = hashlib.sha256(FIRST.encode()).hexdigest()
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    registered = {"query": FIRST, "extensions": extensions}
    await server.post("/graphql", json=registered, headers=by_token(ROOT).headers)
    for order in itertools.permutations(SIGNED_IN, 3):
        for principal in order:
            posted = await server.post("/graphql", json={"extensions": extensions}, headers=principal.headers)
            params = {"extensions": json.dumps(extensions)}
            got = await server.get("/graphql", params=params, headers={**PREFLIGHT, **principal.headers})
            for answer in (posted, got):
                assert answer.json()["data"]["trades"]["totalCount"] == TRADES[principal.name]


@pytest.mark.parametrize("name", [":viewer", "x-viewer", "candlegraph.viewer", "x-user", "cookie"])
async def test_other_headers_do_not_authenticate(server: Client, name: str) -> None:
    for principal in (by_token(BEN), by_token(BEN)):
        await get(server, FIRST, principal)
    for claimed in (f"{BEN} 0", f"{BEN} False", "0", str(BEN)):
        answer = await server.get("/graphql", params={"query": FIRST}, headers={**PREFLIGHT, name: claimed})
        assert answer.json()["data"]["trades"] == {"totalCount": 0, "nodes": []}
        answer = await get(server, FIRST, by_token(ANN), **{name: claimed})
        assert (
            answer.json()["data"]["trades"]["nodes"]
            != (await get(server, FIRST, by_token(BEN))).json()["data"]["trades"]["nodes"]
        )


async def test_variables_are_not_the_viewer(server: Client) -> None:
    """The viewer is a variable of the plan, which neither a document nor a request can set."""
    body = {"query": FIRST, "variables": {"viewer#": BEN, "viewer": BEN}}
    for principal in SIGNED_IN * 2:
        answer = await server.post("/graphql", json=body, headers=principal.headers)
        assert answer.json()["data"]["trades"]["totalCount"] == TRADES[principal.name]
