"""Creates the application from its settings: everything is wired here, and nowhere else."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from strawberry import Schema

from cache.answers import AnswerCache
from cache.buckets import Buckets
from cache.change_feed import ChangeFeed
from cache.hottest import Hottest
from cache.redis import SharedCache
from cache.texts import Texts
from db.changes import listen
from db.embedded import EmbeddedPostgres
from db.engine import Database
from db.observer import Observer
from graph.context import Context, Service
from graph.graphql_core_compat import graphql_schema
from graph.identity.access_tokens import AccessTokens
from graph.identity.accounts import Accounts
from graph.identity.callers import ANONYMOUS, UNRESTRICTED, Caller
from graph.identity.identities import Identities
from graph.identity.throttle import Throttle
from graph.limits import Rules
from graph.metering import Meter
from graph.persisted import AllowList, PersistedQueries
from graph.pipeline import Pipeline
from graph.plan_cache import PlanCache
from graph.schema import create_schema
from server.http.admission import Admission, LoadShedder, longest_wait
from server.http.application import Application
from server.http.browsers import cors
from server.http.callers import CallerMiddleware
from server.http.details import PrivatePortMiddleware, require_admin
from server.http.endpoint import GraphQLEndpoint
from server.http.exposure import check_secret
from server.http.fast_path import FastPath
from server.http.graphiql import graphiql_page
from server.http.health import detail_routes, health_routes
from server.jobs.job import Job
from server.jobs.recording import recording
from server.jobs.runner import JobRunner, end
from server.jobs.settling import settling
from server.jobs.warming import warm_memory
from server.logging import configure_logging
from server.monitoring.metrics import Metrics
from server.overload.request_queue import REQUEST_QUEUE, RequestQueue
from server.settings import Settings, read_settings

PATH = "/graphql"
log = structlog.get_logger("candlegraph.server")


def create_app(settings: Settings | None = None) -> Starlette:
    """The application for these settings, or for those of the environment. It connects at its first request.

    Raises SettingsError.
    """
    settings = settings or read_settings()
    check_secret(settings)
    configure_logging(settings.level)
    metrics = Metrics()
    database = open_database(settings, metrics.statements, rls_enabled=not settings.is_open)
    context, pipeline = open_pipeline(settings, database)
    identities = Identities(database, context.feed, context.accounts.access_tokens)
    longest = longest_wait(settings.request_timeout_seconds)
    request_queue = RequestQueue(PATH, database.max_connections, longest)
    metrics.watch_queue(lambda: len(request_queue.waiting))
    admission = Admission(database.queue, longest)
    needs_preflight = settings.needs_preflight
    fast_path = FastPath(context.cache, context.meter, metrics.requests, admission, needs_preflight=needs_preflight)
    endpoint = GraphQLEndpoint(
        pipeline,
        fast_path if settings.cache_enabled else None,
        LoadShedder(admission, metrics.requests),
        metrics.requests,
        graphiql=graphiql_page() if settings.shows_graphiql else None,
        needs_preflight=needs_preflight,
        timeout_seconds=settings.request_timeout_seconds,
    )
    hottest = _hottest(context.cache)
    jobs = JobRunner(_jobs(context, fast_path, hottest), database, metrics.jobs)
    health, details = health_routes(context), [*detail_routes(context, jobs.report), metrics.route(context)]
    return Application(
        PATH,
        endpoint,
        routes=[
            *([Route("/", _to_graphql)] if settings.shows_graphiql else []),
            *health,
            *map(require_admin, details),
        ],
        middleware=[
            *_private_port(settings, [*health, *details]),
            *([cors(settings.cors_origins)] if settings.cors_origins else []),
            Middleware(CallerMiddleware, identities=identities, is_open=settings.is_open),
        ],
        is_production=settings.is_production,
        lifespan=lambda _: _lifespan(
            context, pipeline, jobs, hottest, request_queue, UNRESTRICTED if settings.is_open else ANONYMOUS
        ),
    )


def _private_port(settings: Settings, routes: list[Route]) -> list[Middleware]:
    port = settings.private_port
    return [] if port is None else [Middleware(PrivatePortMiddleware, port=port, routes=routes)]


def open_pipeline(settings: Settings, database: Database) -> tuple[Context, Pipeline]:
    """The pipeline for operations on this database, and its context. Raises AllowListError."""
    schema = create_schema()
    trusted = trusted_documents(settings, schema)
    texts = trusted.operations(graphql_schema(schema)) if trusted else []
    feed, plans = ChangeFeed(), PlanCache(trusted=len(texts))
    cache = open_cache(settings, feed)
    buckets = Buckets(cache.shared)
    signed_in, anonymous = settings.points_a_minute
    context = Context(
        database=database,
        feed=feed,
        cache=cache,
        accounts=Accounts(access_tokens(settings), Throttle(buckets)),
        meter=Meter(buckets, signed_in=signed_in, anonymous=anonymous),
        service=Service(version("candlegraph"), settings.environment, time.monotonic()),
        plans=plans,
    )
    documents = trusted or PersistedQueries(Texts(context.cache.shared) if settings.apq else None)
    rules = Rules(shows_schema=settings.shows_schema, max_cost=settings.max_cost)
    pipeline = Pipeline(schema, context, documents, rules)
    if trusted is not None:
        log.info("trusted_documents_read", operations=len(texts), compiled=pipeline.prepare(texts))
    return context, pipeline


def open_database(settings: Settings, observer: Observer | None = None, *, rls_enabled: bool = False) -> Database:
    """The configured database, or the embedded one, which must be running. rls_enabled: see db.engine.Database."""
    url = settings.database
    return Database(
        url or EmbeddedPostgres(settings.candlegraph_data_dir).url(),
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_max_overflow,
        timeout_seconds=settings.request_timeout_seconds,
        embedded=url is None,
        rls_enabled=rls_enabled,
        observer=observer,
        echo=settings.debug,
    )


def trusted_documents(settings: Settings, schema: Schema) -> AllowList | None:
    """The allow list of documents; None if any document is answered. Raises AllowListError."""
    if settings.trusted_documents is None:
        return None
    trusted = AllowList.read(settings.trusted_documents)
    trusted.operations(graphql_schema(schema))
    return trusted


def access_tokens(settings: Settings) -> AccessTokens:
    """Signs and verifies access tokens. Without a SECRET_KEY, they are valid only in this process."""
    return AccessTokens(settings.secrets or [secrets.token_hex(32)])


def open_cache(settings: Settings, feed: ChangeFeed) -> AnswerCache:
    """The configured cache. It connects at its first use."""
    url = settings.redis
    return AnswerCache(
        feed,
        None if url is None else SharedCache(url, max_connections=settings.redis_max_connections),
        max_bytes=settings.cache_memory_mb * 2**20,
        is_enabled=settings.cache_enabled,
    )


def _hottest(cache: AnswerCache) -> Hottest | None:
    return Hottest(cache.shared) if cache.is_enabled and cache.shared is not None else None


def _jobs(context: Context, fast_path: FastPath, hottest: Hottest | None) -> list[Job]:
    """All background jobs of the application."""
    return [settling(context.database), *([recording(fast_path, hottest)] if hottest else [])]


@asynccontextmanager
async def _lifespan(
    context: Context,
    pipeline: Pipeline,
    jobs: JobRunner,
    hottest: Hottest | None,
    request_queue: RequestQueue,
    anonymous: Caller,
) -> AsyncIterator[dict[str, Any]]:
    work = [listen(context.database, context.feed)]
    if hottest is not None:
        work.append(warm_memory(pipeline, context.feed, hottest, anonymous))
    tasks = [asyncio.create_task(part) for part in work]
    jobs.start()
    try:
        yield {REQUEST_QUEUE: request_queue}
    finally:
        await jobs.stop()
        await end(tasks)
        context.accounts.passwords.close()
        await context.cache.close()
        await context.database.close()


async def _to_graphql(_: Request) -> Response:
    return RedirectResponse(PATH)
