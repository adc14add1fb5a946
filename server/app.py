"""The application: everything is wired here, and nowhere else."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cache.redis import Cache
from db.embedded import EmbeddedPostgres
from db.engine import Database
from db.settle import settle
from graph.context import Context, Service
from graph.operations import Operations
from graph.schema import create_schema
from server.endpoint import GraphQLEndpoint
from server.graphiql import graphiql_page
from server.health import health_routes
from server.logging import configure_logging
from server.settings import Settings, read_settings

SETTLE_EVERY_SECONDS = 60
log = structlog.get_logger("candlegraph.server")


def create_app(settings: Settings | None = None) -> Starlette:
    """The application for these settings, or for those of the environment. It connects when it is first asked."""
    settings = settings or read_settings()
    configure_logging(settings.level)
    context = Context(
        database=open_database(settings),
        cache=Cache(settings.redis, max_connections=settings.redis_max_connections),
        service=Service(version("candlegraph"), settings.environment, time.monotonic()),
    )
    endpoint = GraphQLEndpoint(Operations(create_schema(), context), graphiql_page())
    return Starlette(
        routes=[
            Route("/graphql", endpoint),
            Route("/", _to_graphql),
            *health_routes(context),
        ],
        middleware=[_cors(settings.cors_origins)] if settings.cors_origins else [],
        lifespan=lambda _: _lifespan(context),
    )


def open_database(settings: Settings) -> Database:
    """The configured database, or the embedded one, which must be running."""
    url = settings.database
    return Database(
        url or EmbeddedPostgres(settings.candlegraph_data_dir).url(),
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_max_overflow,
        embedded=url is None,
        echo=settings.debug,
    )


@asynccontextmanager
async def _lifespan(context: Context) -> AsyncIterator[None]:
    settling = asyncio.create_task(_settle_for_ever(context.database))
    try:
        yield
    finally:
        await _end(settling)
        await context.cache.close()
        await context.database.close()


async def _end(task: asyncio.Task[None]) -> None:
    """A cancellation that meets a connection being closed is swallowed below SQLAlchemy: it may take another."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=1)


async def _settle_for_ever(database: Database) -> None:
    """Every minute; a minute that fails is tried again in the next."""
    while True:
        try:
            async with database.transaction() as connection:
                settled = await settle(connection)
            if settled:
                log.info("predictions_settled", count=settled)
        except Exception as error:
            log.warning("settling_failed", error=type(error).__name__)
        await asyncio.sleep(SETTLE_EVERY_SECONDS)


async def _to_graphql(_: Request) -> Response:
    return RedirectResponse("/graphql")


def _cors(origins: list[str]) -> Middleware:
    return Middleware(
        CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["content-type"]
    )
