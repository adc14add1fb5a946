"""Persisted documents over HTTP: Apollo's protocol, the draft of GraphQL over HTTP, and trusted documents."""

import hashlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from pydantic import ValidationError
from sqlalchemy import URL

from graph.persisted import AllowListError
from server.settings import SettingsError, read_settings
from tests.application import Client, serving
from tests.waiting import eventually

MODERN = "application/graphql-response+json"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
QUERY = "query Coin($symbol: String!) { cryptocurrency(symbol: $symbol) { name } }"
BITCOIN = {"data": {"cryptocurrency": {"name": "Bitcoin"}}}
VARIABLES = {"symbol": "BTC"}
NOT_FOUND = ("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def persisted(text: str, **changes: Any) -> dict[str, Any]:
    """The extension that Apollo's clients send."""
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text), **changes}}


async def by_post(client: Client, **sent: Any) -> Any:
    return (await client.post("/graphql", json={"variables": VARIABLES, **sent})).json()


async def by_get(client: Client, accept: str = "*/*", **sent: Any) -> httpx.Response:
    sent = {"variables": VARIABLES, **sent}
    params = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in sent.items()}
    return await client.get("/graphql", params=params, headers={"accept": accept})


def only_error(answer: Any) -> tuple[str, str]:
    """The message and the code of the one error."""
    assert [*answer] == ["errors"]
    [error] = answer["errors"]
    return error["message"], error["extensions"]["code"]


# Automatic persisted queries.


async def test_a_document_is_sent_once(client: Client) -> None:
    assert only_error(await by_post(client, extensions=persisted(QUERY))) == NOT_FOUND
    assert only_error((await by_get(client, extensions=persisted(QUERY))).json()) == NOT_FOUND
    assert await by_post(client, query=QUERY, extensions=persisted(QUERY)) == BITCOIN
    for _ in range(3):
        assert await by_post(client, extensions=persisted(QUERY)) == BITCOIN
        for accept in ("*/*", MODERN, BROWSER):
            assert (await by_get(client, accept, extensions=persisted(QUERY))).json() == BITCOIN
    assert await by_post(client, extensions=persisted(QUERY), query=None, operationName="Coin") == BITCOIN
    assert await by_post(client, extensions=persisted(QUERY, sha256Hash=sha256(QUERY).upper())) == BITCOIN


async def test_a_document_may_be_registered_with_the_first_request(client: Client) -> None:
    assert (await by_get(client, query=QUERY, extensions=persisted(QUERY))).json() == BITCOIN
    assert await by_post(client, extensions=persisted(QUERY)) == BITCOIN


async def test_the_document_id_of_the_draft_of_graphql_over_http(client: Client) -> None:
    document_id = f"sha256:{sha256(QUERY)}"
    assert only_error(await by_post(client, documentId=document_id)) == NOT_FOUND
    assert await by_post(client, query=QUERY, documentId=document_id) == BITCOIN
    assert await by_post(client, documentId=document_id) == BITCOIN
    assert await by_post(client, documentId=document_id, extensions=persisted(QUERY)) == BITCOIN
    for accept in ("*/*", MODERN, BROWSER):
        assert (await by_get(client, accept, documentId=document_id)).json() == BITCOIN


async def test_a_registered_document_with_other_variables(client: Client) -> None:
    await by_post(client, query=QUERY, extensions=persisted(QUERY))
    answer = await by_post(client, extensions=persisted(QUERY), variables={"symbol": "ETH"})
    assert answer == {"data": {"cryptocurrency": {"name": "Ethereum"}}}
    assert only_error(await by_post(client, extensions=persisted(QUERY), variables={}))[1] == "BAD_USER_INPUT"


@pytest.mark.parametrize(("accept", "status"), [("application/json", 200), (MODERN, 400)])
async def test_an_unknown_hash_has_the_status_of_any_request_error(client: Client, accept: str, status: int) -> None:
    sent = {"extensions": persisted(QUERY)}
    response = await client.post("/graphql", json=sent, headers={"accept": accept})
    assert (response.status_code, only_error(response.json())) == (status, NOT_FOUND)
    assert (await by_get(client, accept, **sent)).status_code == status


async def test_the_hash_of_another_document_is_rejected(client: Client) -> None:
    mismatch = ("provided sha does not match query", "PERSISTED_QUERY_MISMATCH")
    extensions = persisted(QUERY + " ")
    assert only_error(await by_post(client, query=QUERY, extensions=extensions)) == mismatch
    assert only_error(await by_post(client, extensions=extensions)) == NOT_FOUND


@pytest.mark.parametrize("text", ["{ nothing }", "{", "query A { __typename } query B { __typename }"])
async def test_an_invalid_document_is_not_registered(client: Client, text: str) -> None:
    for _ in range(3):
        assert only_error(await by_post(client, query=text, extensions=persisted(text), variables={})) != NOT_FOUND
        assert only_error(await by_post(client, extensions=persisted(text), variables={})) == NOT_FOUND


async def test_servers_share_registered_documents(demo_url: URL, redis_url: str) -> None:
    text = f"query Shared{uuid4().hex} {{ __typename }}"
    async with serving(demo_url, redis_url=redis_url) as one, serving(demo_url, redis_url=redis_url) as other:
        assert only_error(await by_post(other, extensions=persisted(text))) == NOT_FOUND
        await by_post(one, query=text, extensions=persisted(text))

        # It is written to Redis in the background.
        async def is_shared() -> bool:
            return bool(await by_post(other, extensions=persisted(text)) == {"data": {"__typename": "Query"}})

        await eventually(is_shared)


async def test_persisted_queries_can_be_disabled(demo_url: URL) -> None:
    async with serving(demo_url, apq=False) as client:
        assert await by_post(client, query=QUERY, extensions=persisted(QUERY)) == BITCOIN
        not_supported = ("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
        assert only_error(await by_post(client, extensions=persisted(QUERY))) == not_supported


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"extensions": persisted(QUERY, version=2)}, "Unsupported persisted query version"),
    ({"extensions": persisted(QUERY, version=None), "query": QUERY}, "Unsupported persisted query version"),
    ({"extensions": {"persistedQuery": {"sha256Hash": sha256(QUERY)}}}, "Unsupported persisted query version"),
    ({"extensions": {"persistedQuery": []}}, "The persistedQuery must be an object."),
    ({"extensions": {"persistedQuery": {"version": 1}}}, "64 hexadecimal digits"),
    ({"extensions": persisted(QUERY, sha256Hash=5)}, "64 hexadecimal digits"),
    ({"extensions": persisted(QUERY, sha256Hash="g" * 64)}, "64 hexadecimal digits"),
    ({"extensions": persisted(QUERY, sha256Hash="a" * 63), "query": QUERY}, "64 hexadecimal digits"),
    ({"extensions": persisted(QUERY, sha256Hash="a" * 64 + "\n")}, "64 hexadecimal digits"),
    ({"documentId": f"sha256:{'a' * 63}"}, "The documentId must be"),
    ({"documentId": f"md5:{'a' * 32}", "query": QUERY}, "The documentId must be"),
    ({"documentId": "a" * 201}, "The documentId must be"),
    ({"documentId": f"sha256:{'a' * 64}", "extensions": persisted(QUERY)}, "name different documents"),
    ({"extensions": {"persistedQuery": None}}, "needs a query"),
    ({"extensions": {}}, "needs a query"),
    ({"documentId": "", "query": ""}, "needs a query"),
]


@pytest.mark.parametrize(("sent", "message"), MALFORMED, ids=[str(sent)[:80] for sent, _ in MALFORMED])
async def test_a_malformed_document_name_is_rejected(client: Client, sent: dict[str, Any], message: str) -> None:
    for response in (await client.post("/graphql", json=sent), await by_get(client, **sent)):
        assert response.status_code == 400
        found, code = only_error(response.json())
        assert message in found
        assert code == "BAD_REQUEST"


async def test_a_document_id_must_be_a_string(client: Client) -> None:
    response = await client.post("/graphql", json={"documentId": 5, "query": QUERY})
    assert (response.status_code, only_error(response.json())[1]) == (400, "BAD_REQUEST")


# Trusted documents.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "coin.graphql").write_text(QUERY + "\n")
    return tmp_path


async def test_only_trusted_documents_are_executed(demo_url: URL, folder: Path) -> None:
    async with serving(demo_url, trusted_documents=folder) as client:
        for _ in range(3):
            assert await by_post(client, query=QUERY) == BITCOIN
            assert await by_post(client, query=QUERY, extensions=persisted(QUERY), operationName="Coin") == BITCOIN
            assert await by_post(client, extensions=persisted(QUERY)) == BITCOIN
            assert await by_post(client, documentId=f"sha256:{sha256(QUERY)}") == BITCOIN
            assert (await by_get(client, query=f"\n{QUERY}")).json() == BITCOIN
            assert (await by_get(client, extensions=persisted(QUERY))).json() == BITCOIN
        for query in ("{ __typename }", "{ __schema { description } }", QUERY.replace("name", "symbol"), "{ nonsense"):
            for sent in ({"query": query}, {"query": query, "extensions": persisted(query)}):
                message, code = only_error(await by_post(client, **sent))
                assert code == "DOCUMENT_NOT_TRUSTED"
                assert "only the documents on its list" in message
            assert only_error(await by_post(client, extensions=persisted(query)))[1] == "DOCUMENT_NOT_TRUSTED"


async def test_a_manifest_assigns_ids(demo_url: URL, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(orjson.dumps({"93dc8b2c0b6ee1b0ba6ba5fe4f1ca5f4": QUERY}))
    async with serving(demo_url, trusted_documents=manifest) as client:
        assert await by_post(client, documentId="93dc8b2c0b6ee1b0ba6ba5fe4f1ca5f4") == BITCOIN
        assert only_error(await by_post(client, documentId="unknown"))[1] == "DOCUMENT_NOT_TRUSTED"


async def test_the_server_does_not_start_with_invalid_documents(demo_url: URL, folder: Path) -> None:
    (folder / "wrong.graphql").write_text("query A {\n  nothing\n}")
    with pytest.raises(AllowListError, match=r"wrong\.graphql, line 2: Cannot query field 'nothing'"):
        async with serving(demo_url, trusted_documents=folder):
            pass


async def test_the_server_does_not_start_without_its_documents(demo_url: URL, tmp_path: Path) -> None:
    with pytest.raises(AllowListError, match="holds no documents"):
        async with serving(demo_url, trusted_documents=tmp_path):
            pass
    with pytest.raises(ValidationError, match="there is no directory and no file at"):
        async with serving(demo_url, trusted_documents=tmp_path / "missing"):
            pass


def test_a_missing_folder_gives_a_readable_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUSTED_DOCUMENTS", "missing")
    with pytest.raises(SettingsError, match=r"TRUSTED_DOCUMENTS: there is no directory and no file at missing"):
        read_settings()
