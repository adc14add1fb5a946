"""The application in tests, and HTTP clients of it without a socket."""

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

# Generated documents are longer than handwritten ones.
GENEROUS = Rules(Limits(tokens=30_000, depth=40, aliases=10_000, selections=10_000, fields=10_000), max_cost=math.inf)
BUCKETS = Buckets(None)
ACCOUNTS = Accounts(AccessTokens(["a secret of the tests, long enough"]), Throttle(BUCKETS))


def context_of(database: Database, feed: ChangeFeed | None = None, cache: AnswerCache | None = None) -> Context:
    """The context of a pipeline, by default without a cache."""
    feed = feed or ChangeFeed()
    cache = cache or AnswerCache(feed, is_enabled=False)
    return Context(database, feed, cache, Service("test", "test", 0), ACCOUNTS, Meter(BUCKETS))


def request_of(query: str, variables: dict[str, Any] | None = None) -> GraphQLRequest:
    """A request of a caller with all scopes."""
    return GraphQLRequest(query, variables or {}, None, caller=UNRESTRICTED)


class FieldByField(Pipeline):
    """Executes every operation without a plan, as the pipeline does if none can be made."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._planner.plan = lambda *_: None  # type: ignore[method-assign]


class Client(httpx.AsyncClient):
    """An HTTP client with a short way to send an operation."""

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The decoded answer to an operation. Request ids of errors are checked and removed, as they are random."""
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
    """The application, but it receives short bodies in one message, as from a real server."""

    async def with_joined_body(scope: Scope, receive: Receive, send: Send) -> None:
        length = dict(scope.get("headers", ())).get(b"content-length", b"")
        await app(scope, _joining(receive) if len(length) in range(1, 5) else receive, send)

    return with_joined_body


def _joining(receive: Receive) -> Receive:
    async def receive_whole_body() -> Message:
        message = await receive()
        while message.get("more_body") and len(message["body"]) < 2**14:
            more = await receive()
            message = more | {"body": message["body"] + more.get("body", b"")}
        return message

    return receive_whole_body


@asynccontextmanager
async def serving(url: URL, **settings: Any) -> AsyncIterator[Client]:
    """A client of an application on this database."""
    app = application(url, **settings)
    transport = httpx.ASGITransport(in_one_piece(app))
    async with LifespanManager(app), Client(transport=transport, base_url="http://test") as client:
        yield client


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that the block executes, through SQLAlchemy or as prepared statements."""
    statements: list[str] = []
    prepared = database.prepared

    def record(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    async def fetch_row(statement: str, *arguments: Any, **options: Any) -> Any:
        statements.append(statement)
        return await type(prepared).fetch_row(prepared, statement, *arguments, **options)

    event.listen(database.engine.sync_engine, "before_cursor_execute", record)
    prepared.fetch_row = fetch_row  # type: ignore[method-assign]
    try:
        yield statements
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", record)
        del prepared.fetch_row
