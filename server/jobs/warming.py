"""Fills caches with the answers to recorded or given requests, before clients send them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from cache.answers import MAX_ANSWER_BYTES, AnswerCache
from cache.change_feed import ChangeFeed
from cache.hottest import Hottest
from cache.link import CacheUnavailable
from db.changes import listen
from db.engine import Database
from db.errors import DatabaseUnavailable
from graph.documents import NotAQuery
from graph.identity.callers import Caller
from graph.pipeline import Pipeline
from graph.request import GraphQLRequest
from graph.response import Answer
from server.jobs.recording import NamedRequest, recorded_requests

# Between two requests, so that requests of clients go first.
PAUSE_SECONDS = 0.02
POLL_SECONDS = 0.05
LISTENING_TIMEOUT_SECONDS = 10.0
log = structlog.get_logger("candlegraph.cache")


class WarmingError(Exception):
    """The cache cannot be warmed; the message says why."""


@dataclass
class WarmingResult:
    """Numbers of requests: executed, and stored in Redis. uncacheable: succeeded, with an answer that is never stored.

    rejected: the name and the error of each request that failed, or whose answer could not be stored.
    """

    executed: int = 0
    stored: int = 0
    uncacheable: int = 0
    rejected: list[tuple[str, str]] = field(default_factory=list)


async def warm_memory(pipeline: Pipeline, feed: ChangeFeed, hottest: Hottest, caller: Caller) -> None:
    """Execute the recorded requests as this caller, so that their answers are in the memory of this process."""
    await _until_listening(feed)
    with suppress(CacheUnavailable):
        requests = await recorded_requests(hottest)
        for named in requests:
            # A plan is cached from the second execution on.
            for _ in range(2):
                await _execute(pipeline, named.request._replace(caller=caller))
                await asyncio.sleep(PAUSE_SECONDS)
        log.info("memory_warmed", requests=len(requests))


@asynccontextmanager
async def listening(database: Database, feed: ChangeFeed) -> AsyncIterator[None]:
    """Listen for changes during the block: without them no answer is cached. Raises DatabaseError or WarmingError."""
    probe = await database.probe()
    if probe.message is not None:
        raise DatabaseUnavailable(probe.message)
    listener = asyncio.create_task(listen(database, feed))
    try:
        try:
            async with asyncio.timeout(LISTENING_TIMEOUT_SECONDS):
                await _until_listening(feed)
        except TimeoutError:
            raise WarmingError("LISTEN on the database does not work, so no answer may be cached.") from None
        yield
    finally:
        listener.cancel()
        await asyncio.wait({listener}, timeout=1)


async def warm_redis(
    pipeline: Pipeline, cache: AnswerCache, requests: Sequence[NamedRequest], progress: Callable[[int], Any]
) -> WarmingResult:
    """Execute all requests; when it returns, Redis has every answer that may be cached.

    progress is called with the number of requests that are done.
    """
    result = WarmingResult()
    for named in requests:
        answer = await _execute(pipeline, named.request)
        error = _first_error(answer) or await _why_not_stored(cache, answer)
        result.executed += 1
        if error is not None:
            result.rejected.append((named.name, error))
        elif answer is not None and answer.entry is not None:
            result.stored += 1
        else:
            result.uncacheable += 1
        progress(result.executed)
    return result


async def _execute(pipeline: Pipeline, request: GraphQLRequest) -> Answer | None:
    """The answer; None if the operation is not a query."""
    try:
        return await pipeline.answer(request, queries_only=True)
    except NotAQuery:
        return None


def _first_error(answer: Answer | None) -> str | None:
    if answer is None:
        return "Only queries are executed."
    return str(answer.errors[0]["message"]) if answer.errors else None


async def _why_not_stored(cache: AnswerCache, answer: Answer | None) -> str | None:
    """Why another server would not find this answer in Redis; None if it would, or if it is never cached."""
    entry = answer.entry if answer else None
    if entry is None or cache.shared is None:
        return None
    if len(entry.body) > MAX_ANSWER_BYTES:
        return f"Its answer has {len(entry.body):,} bytes; the limit is {MAX_ANSWER_BYTES:,}."
    await cache.shared.flush()
    return None if await cache.find_shared(entry.key, entry.tags) else "Redis did not store its answer."


async def _until_listening(feed: ChangeFeed) -> None:
    # is_listening depends on the time too, so there is no event to wait for.
    while not feed.is_listening:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
