"""Request ids: in the header of every response, in errors, and in the log."""

import json
import re

import httpx
import pytest
from sqlalchemy import URL

from db.engine import Database
from graph.pipeline import Pipeline
from server.request_state import begin_request
from tests.application import Client, application, serving
from tests.people import SIGNING
from tests.server.http.test_caching import until_cached

COIN = {"query": '{ cryptocurrency(symbol: "BTC") { name } }'}
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"
GENERATED = re.compile(r"[0-9a-f]{16}")


def request_id(*headers: tuple[str, str]) -> str:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return begin_request({"type": "http", "headers": raw}).request_id.decode()


def shown_id(response: httpx.Response) -> str:
    """The id in the header, which is that of every error in the body."""
    found = response.headers["x-request-id"]
    for error in response.json()["errors"]:
        assert error["extensions"]["requestId"] == found
    return found


@pytest.mark.parametrize("given", ["a", "A-z_0.9", "x" * 128, TRACE_ID])
def test_a_valid_id_is_taken(given: str) -> None:
    assert request_id(("x-request-id", given), ("traceparent", TRACEPARENT)) == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\n", 'a"', "a/b", "\xe9", "<script>"])
def test_an_invalid_id_is_replaced(given: str) -> None:
    assert GENERATED.fullmatch(request_id(("x-request-id", given), ("traceparent", TRACEPARENT)))


def test_generated_ids_differ() -> None:
    assert len({request_id() for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("given", [TRACEPARENT, TRACEPARENT.replace("00-", "01-", 1), f"cc{TRACEPARENT[2:]}-more"])
def test_without_an_id_the_trace_id_is_taken(given: str) -> None:
    assert request_id(("traceparent", given)) == TRACE_ID


@pytest.mark.parametrize(
    "given",
    [
        "",
        TRACE_ID,
        TRACEPARENT.upper(),
        f"ff{TRACEPARENT[2:]}",
        f"{TRACEPARENT}-more",
        f"cc{TRACEPARENT[2:]}more",
        TRACEPARENT.replace(TRACE_ID, "0" * 32),
        TRACEPARENT.replace("b7ad6b7169203331", "0" * 16),
    ],
)
def test_an_invalid_traceparent_is_ignored(given: str) -> None:
    assert GENERATED.fullmatch(request_id(("traceparent", given)))


async def test_every_response_has_the_id(demo_url: URL) -> None:
    async with serving(demo_url, private_port=9_999) as client:
        await until_cached(client)
        headers = {"x-request-id": "mine"}
        responses = [await client.post("/graphql", json=COIN, headers=headers) for _ in range(2)]
        assert responses[-1].headers["x-cache"].startswith("hit-memory")
        responses.append(await client.get("/graphql", params=COIN, headers={"if-none-match": "*", **headers}))
        paths = ("/", "/graphql", "/nowhere", "/health", "/metrics", "http://test:9999/health/detailed")
        responses += [await client.get(path, headers={"accept": "text/html", **headers}) for path in paths]
        assert [response.status_code for response in responses] == [200, 200, 304, 307, 200, 404, 200, 200, 200]
        for response in responses:
            assert response.headers.get_list("x-request-id") == ["mine"]
        hits = [await client.post("/graphql", json=COIN) for _ in range(2)]
        ids = {hit.headers["x-request-id"] for hit in hits}
        assert len(ids) == 2
        assert all(map(GENERATED.fullmatch, ids))


async def test_errors_carry_the_id(demo_url: URL) -> None:
    async with serving(demo_url, **SIGNING, rate_limit_anonymous=60) as client:
        headers = {"x-request-id": "mine", "content-type": "application/json"}

        async def post(content: bytes, **more: str) -> httpx.Response:
            return await client.post("/graphql", content=content, headers=headers | more)

        responses = [
            await post(b"{"),
            await post(b'{"query": "{ nothing }"}'),
            await post(b'{"query": "{ node(id: 5) { id } }"}'),
            await post(b" " * (2**20 + 1)),
            await post(b"{}", authorization="Bearer x"),
            await post(b'{"query": "{ signals(first: 100) { nodes { id } } }"}'),
            await client.get("/metrics", headers=headers),
        ]
        assert [response.status_code for response in responses] == [400, 200, 200, 413, 401, 429, 401]
        assert {shown_id(response) for response in responses} == {"mine"}
        # Errors are never served to another request.
        assert shown_id(await client.post("/graphql", json={"query": "{ nothing }"})) != "mine"


async def test_a_host_that_is_not_ours_gets_the_id(client: Client) -> None:
    response = await client.post("/graphql", json=COIN, headers={"host": "example.com", "x-request-id": "mine"})
    assert (response.status_code, shown_id(response)) == (421, "mine")


async def test_an_unexpected_error_of_a_field_is_found_in_the_log(
    demo_url: URL, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    async with serving(demo_url) as client:
        monkeypatch.setattr(Database, "probe", fail)
        response = await client.post(
            "/graphql", json={"query": "{ health { status } }"}, headers={"traceparent": TRACEPARENT}
        )
    assert shown_id(response) == TRACE_ID
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    [logged] = [line for line in lines if line["event"] == "unexpected_error"]
    assert logged["request_id"] == TRACE_ID
    assert logged["error_id"] == error["extensions"]["id"]


async def test_an_unexpected_exception_gets_the_envelope(demo_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Pipeline, "answer", fail)
    transport = httpx.ASGITransport(application(demo_url), raise_app_exceptions=False)
    async with Client(transport=transport, base_url="http://test") as client:
        response = await client.post("/graphql", json=COIN, headers={"x-request-id": "mine"})
    assert (response.status_code, shown_id(response)) == (500, "mine")
    assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
