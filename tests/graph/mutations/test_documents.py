"""Mutations as persisted queries and trusted documents, and never by GET."""

import hashlib
import json
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from tests.graph.mutations.people import People, people
from tests.graph.mutations.test_trades import COUNT, RECORD, TRADE

HASH = hashlib.sha256(RECORD.encode()).hexdigest()
EXTENSIONS = {"persistedQuery": {"version": 1, "sha256Hash": HASH}}


async def test_a_mutation_can_be_sent_by_its_hash(all_: People) -> None:
    async def sent(**body: Any) -> Any:
        body |= {"variables": {"input": TRADE}, "extensions": EXTENSIONS}
        return (await all_.ann.post("/graphql", json=body)).json()

    assert (await sent())["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    ids = {(await sent(query=RECORD))["data"]["recordTrade"]["trade"]["id"]}
    ids |= {(await sent())["data"]["recordTrade"]["trade"]["id"] for _ in range(3)}
    # Each request wrote a trade; no response came from a cache.
    assert len(ids) == 4
    assert (await all_.ann.data(COUNT))["trades"]["totalCount"] == 4


async def test_a_mutation_by_get_is_rejected(all_: People) -> None:
    await all_.ann.post("/graphql", json={"query": RECORD, "variables": {"input": TRADE}, "extensions": EXTENSIONS})
    variables = json.dumps({"input": TRADE})
    for params in ({"query": RECORD}, {"extensions": json.dumps(EXTENSIONS)}):
        response = await all_.ann.get("/graphql", params={**params, "variables": variables})
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert (await all_.ann.data(COUNT))["trades"]["totalCount"] == 1


async def test_the_response_to_a_mutation_is_not_cacheable(all_: People) -> None:
    for _ in range(2):
        response = await all_.ann.post("/graphql", json={"query": RECORD, "variables": {"input": TRADE}})
        assert response.headers["cache-control"] == "no-store"
        assert "etag" not in response.headers


async def test_only_trusted_mutations_are_executed(database_url: URL, tmp_path: Path) -> None:
    (tmp_path / "trades.graphql").write_text(RECORD)
    (tmp_path / "count.graphql").write_text(COUNT)
    async with people(database_url, trusted_documents=tmp_path) as all_:
        assert await all_.ann.errors(RECORD, input=TRADE) == []
        other = await all_.ann.error(RECORD.replace("pnl", ""), input=TRADE)
        assert other["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
        assert (await all_.ann.data(COUNT))["trades"]["totalCount"] == 1
