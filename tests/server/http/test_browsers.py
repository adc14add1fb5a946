"""Browsers: security headers, CSRF protection, CORS, and the GraphiQL page."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import URL

from graph.pipeline import Pipeline
from server.http.browsers import PREFLIGHTED
from server.http.response_headers import (
    ALL_RESPONSES,
    CONTENT_SECURITY_POLICY,
    DATA_POLICY,
    PAGE_HEADERS,
    STRICT_TRANSPORT_SECURITY,
)
from tests.application import Client, application, serving
from tests.people import PRODUCTION, SIGNING
from tests.server.http.test_caching import until_cached

QUERY = {"query": '{ cryptocurrency(symbol: "BTC") { name } }'}
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ALLOWED, FOREIGN = "https://app.example.com", "https://evil.example"
PREFLIGHT_HEADERS = [*((name, "1") for name in PREFLIGHTED), ("content-type", "application/json")]


@pytest.fixture
async def production(demo_url: URL) -> AsyncIterator[Client]:
    async with serving(demo_url, **PRODUCTION) as client:
        yield client


def has_security_headers(response: httpx.Response, *of_kind: tuple[bytes, bytes], https: bool = False) -> bool:
    expected = {*ALL_RESPONSES, *(of_kind or [DATA_POLICY]), *([STRICT_TRANSPORT_SECURITY] if https else [])}
    names = {name for name, _ in (*ALL_RESPONSES, DATA_POLICY, *PAGE_HEADERS, STRICT_TRANSPORT_SECURITY)}
    found = [(name.lower(), value) for name, value in response.headers.raw if name.lower() in names]
    return sorted(found) == sorted(expected)


async def test_every_response_has_security_headers(demo_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(demo_url) as client:
        await until_cached(client)
        answers = [await client.post("/graphql", json=QUERY) for _ in range(2)]
        assert answers[-1].headers["x-cache"].startswith("hit")
        answers.append(await client.get("/graphql", params=QUERY, headers={"if-none-match": "*"}))
        answers += [await client.get(path) for path in ("/", "/nowhere", "/health", "/health/detailed", "/metrics")]
        answers.append(await client.get("/health", headers={"authorization": "Bearer x"}))
        answers.append(await client.put("/graphql"))
        assert [answer.status_code for answer in answers] == [200, 200, 304, 307, 404, 200, 200, 200, 401, 405]
        assert all(map(has_security_headers, answers))

    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Pipeline, "answer", fail)
    transport = httpx.ASGITransport(application(demo_url), raise_app_exceptions=False)
    async with Client(transport=transport, base_url="http://test") as client:
        failed = await client.post("/graphql", json=QUERY)
    assert failed.status_code == 500
    assert has_security_headers(failed)
    assert "ZeroDivisionError" not in failed.text


async def test_in_production_https_is_enforced(production: Client) -> None:
    assert has_security_headers(await production.get("https://test/health"), https=True)
    assert has_security_headers(await production.post("https://test/graphql", json=QUERY), https=True)
    # Browsers ignore the header over HTTP, where a response may have been modified on its way.
    assert has_security_headers(await production.get("/health"))


async def test_outside_of_production_http_is_allowed(demo_url: URL) -> None:
    async with serving(demo_url) as client:
        assert has_security_headers(await client.get("https://test/health"))


# GETs that a page of another site can make a browser send


@pytest.mark.parametrize("settings", [SIGNING, PRODUCTION, {"environment": "production", **SIGNING}])
async def test_a_get_needs_a_header_that_needs_a_preflight(demo_url: URL, settings: dict[str, str]) -> None:
    async with serving(demo_url, **settings) as client:
        await until_cached(client)
        for name, value in PREFLIGHT_HEADERS:
            for _ in range(2):
                answer = await client.get("/graphql", params=QUERY, headers={name: value})
                assert answer.json() == {"data": {"cryptocurrency": {"name": "Bitcoin"}}}
        assert answer.headers["x-cache"].startswith("hit")
        # The fast path knows the request by now, with and without a content type.
        for headers in ({}, {"content-type": "text/plain"}, {"x-requested-with": ""}, {"graphql-preflight-x": "1"}):
            answer = await client.get("/graphql", params=QUERY, headers=headers)
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["extensions"]["code"] == "CSRF_REFUSED"
            assert "GraphQL-Preflight: 1" in answer.json()["errors"][0]["message"]
            assert (await client.head("/graphql", params=QUERY, headers=headers)).status_code == 400
        assert (await client.post("/graphql", data=QUERY)).status_code == 415
        assert (await client.post("/graphql", json=QUERY)).status_code == 200


async def test_with_auth_mode_open_a_get_needs_no_header(client: Client) -> None:
    assert (await client.get("/graphql", params=QUERY)).status_code == 200


# Pages of allowed origins


async def test_only_pages_of_allowed_origins_may_read_responses(demo_url: URL) -> None:
    async with serving(demo_url, cors_origins=[ALLOWED], **SIGNING) as client:
        requested = {
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        }
        preflight = await client.options("/graphql", headers={"origin": ALLOWED, **requested})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == ALLOWED
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert "authorization" in allowed
        assert "graphql-cost" in allowed
        assert int(preflight.headers["access-control-max-age"]) >= 3_600
        assert has_security_headers(preflight)
        answer = await client.post("/graphql", json=QUERY, headers={"origin": ALLOWED})
        assert answer.headers["access-control-allow-origin"] == ALLOWED
        exposed = answer.headers["access-control-expose-headers"].lower()
        assert "retry-after" in exposed
        assert "x-request-id" in exposed
        assert "ratelimit-remaining" in exposed
        rejected = await client.options("/graphql", headers={"origin": FOREIGN, **requested})
        assert rejected.status_code == 400
        for other in (rejected, await client.post("/graphql", json=QUERY, headers={"origin": FOREIGN})):
            assert "access-control-allow-origin" not in other.headers
        for each in (preflight, answer, rejected):
            assert "access-control-allow-credentials" not in each.headers


# GraphiQL


async def test_the_policy_of_the_page_allows_only_what_it_loads(client: Client) -> None:
    page = await client.get("/graphql", headers=BROWSER)
    policy = page.headers["content-security-policy"]
    assert has_security_headers(page, *PAGE_HEADERS, (CONTENT_SECURITY_POLICY, policy.encode()))
    allowed = {name: sources for name, *sources in (part.split() for part in policy.split("; "))}
    assert allowed["default-src"] == ["'none'"]
    assert allowed["connect-src"] == ["'self'"]
    assert allowed["frame-ancestors"] == ["'none'"]
    for script in re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed["script-src"]
    others = re.findall(r'(?:src|href)="(https:[^"]+)"', page.text)
    assert len(others) == 7
    assert set(others) <= {*allowed["script-src"], *allowed["style-src"]}
    assert not {"'unsafe-inline'", "'unsafe-eval'", "https:", "*"} & set(allowed["script-src"])


async def test_the_page_has_a_header_editor_and_does_not_store_headers(client: Client) -> None:
    page = (await client.get("/graphql", headers=BROWSER)).text
    assert "isHeadersEditorEnabled: true" in page
    assert "shouldPersistHeaders: false" in page


async def test_in_production_there_is_no_page(production: Client, demo_url: URL) -> None:
    for headers, status in ((BROWSER, 400), ({"accept": "text/html"}, 406)):
        answer = await production.get("/graphql", headers=headers)
        assert answer.status_code == status
        assert "iql" not in answer.text.lower()
        assert "html" not in answer.text.lower()
    assert (await production.get("/")).status_code == 404
    async with serving(demo_url, **PRODUCTION, graphiql=True) as client:
        assert (await client.get("/graphql", headers=BROWSER)).headers["content-type"].startswith("text/html")
        assert (await client.get("/")).status_code == 307
