"""Unexpected exceptions outside of the pipeline, and errors of the router: the envelope, headers and the request id."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from sqlalchemy import URL

from graph.identity.identities import Identities
from server.http.fast_path import FastPath
from tests.application import application, serving

QUERY = {"query": "{ __typename }"}


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[type, str], None]:
    """Makes a method raise."""

    def replace(owner: type, method: str) -> None:
        async def fail(*_: Any) -> Awaitable[None]:
            raise KeyError("hunter2")

        monkeypatch.setattr(owner, method, fail)

    return replace


@pytest.mark.parametrize(("owner", "method"), [(Identities, "of"), (FastPath, "answer")])
async def test_an_exception_of_the_middleware(
    demo_url: URL, failing: Callable[[type, str], None], owner: type, method: str
) -> None:
    failing(owner, method)
    headers = {"x-request-id": "mine", **({"authorization": "Bearer x"} if owner is Identities else {})}
    app = application(demo_url)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with LifespanManager(app), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/graphql", json=QUERY, headers=headers)
    assert answer.status_code == 500
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": "mine"}
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nothing", 404, "NOT_FOUND"), ("POST", "/health", 405, "METHOD_NOT_ALLOWED")],
)
async def test_an_error_of_the_router(demo_url: URL, method: str, path: str, status: int, code: str) -> None:
    async with serving(demo_url) as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": code, "requestId": answer.headers["x-request-id"]}
    assert ("allow" in answer.headers) == (status == 405)
