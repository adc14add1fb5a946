"""The application in tests: clients of it over HTTP, without a socket."""

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
from asgi_lifespan import LifespanManager
from sqlalchemy import URL, event
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cache.answers import AnswerCache
from cache.buckets import Buckets
from cache.change_feed import ChangeFeed
from db.engine import Database
from graph.context import Context, Service
from graph.identity.access_tokens import AccessTokens
from graph.identity.accounts import Accounts
from graph.identity.callers import UNRESTRICTED
from graph.identity.throttle import Throttle
from graph.limits import Limits, Rules
from graph.metering import Meter
from graph.pipeline import Pipeline
from graph.request import GraphQLRequest
from server.app import create_app
from server.settings import Settings

# Generated documents are longer than those that people write.
GENEROUS = Rules(Limits(tokens=30_000, depth=40, aliases=10_000, selections=10_000, fields=10_000), max_cost=math.inf)
BUCKETS = Buckets(None)
ACCOUNTS = Accounts(AccessTokens(["a secret of the tests, long enough"]), Throttle(BUCKETS))


def context_of(database: Database, feed: ChangeFeed | None = None, cache: AnswerCache | None = None) -> Context:
    """The context of a pipeline, by default without a cache."""
    feed = feed or ChangeFeed()
    cache = cache or AnswerCache(feed, is_enabled=False)
    return Context(database, feed, cache, Service("test", "test", 0), ACCOUNTS, Meter(BUCKETS))


def asked(query: str, variables: dict[str, Any] | None = None) -> GraphQLRequest:
    """An operation of a caller that may see everything."""
    return GraphQLRequest(query, variables or {}, None, caller=UNRESTRICTED)


class FieldByField(Pipeline):
    """Executes every operation without a plan, as the pipeline does if none can be made."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._planner.plan = lambda *_: None  # type: ignore[method-assign]


class Client(httpx.AsyncClient):
    """An HTTP client with a short way to send an operation."""

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer to an operation, decoded, without the request id of its errors, which is never the same."""
        response = await self.post("/graphql", json={"query": query, "variables": variables})
        answer: dict[str, Any] = response.json()
        for error in answer.get("errors", []):
            assert error["extensions"].pop("requestId") == response.headers["x-request-id"]
        return answer

    async def data(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation that has no errors."""
        answer = await self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    async def error(self, query: str, **variables: Any) -> dict[str, Any]:
        """The one error of an operation."""
        answer = await self.ask(query, **variables)
        assert len(answer.get("errors", [])) == 1, answer
        error: dict[str, Any] = answer["errors"][0]
        return error


def application(url: URL, **settings: Any) -> Starlette:
    """An application on this database, by default with a cache in memory only."""
    settings = {"redis_url": None, "auth_mode": "open", "environment": "test", **settings}
    database_url = url.render_as_string(hide_password=False)
    return create_app(Settings(_env_file=None, database_url=database_url, **settings))


def in_one_piece(app: ASGIApp) -> ASGIApp:
    """The application, which gets short bodies in one message, as from a real server."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        length = dict(scope.get("headers", ())).get(b"content-length", b"")
        await app(scope, _joined(receive) if len(length) in range(1, 5) else receive, send)

    return served


def _joined(receive: Receive) -> Receive:
    async def joined() -> Message:
        message = await receive()
        while message.get("more_body") and len(message["body"]) < 2**14:
            more = await receive()
            message = more | {"body": message["body"] + more.get("body", b"")}
        return message

    return joined


@asynccontextmanager
async def serving(url: URL, **settings: Any) -> AsyncIterator[Client]:
    """A client of an application on this database."""
    app = application(url, **settings)
    transport = httpx.ASGITransport(in_one_piece(app))
    async with LifespanManager(app), Client(transport=transport, base_url="http://test") as client:
        yield client


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that are executed within the block, by SQLAlchemy or as prepared statements."""
    statements: list[str] = []
    prepared = database.prepared

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    async def fetch_row(statement: str, *arguments: Any, **options: Any) -> Any:
        statements.append(statement)
        return await type(prepared).fetch_row(prepared, statement, *arguments, **options)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    prepared.fetch_row = fetch_row  # type: ignore[method-assign]
    try:
        yield statements
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        del prepared.fetch_row
