"""Asking before others do: servers record what they are asked most, and whoever starts asks that first."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import uniform
from typing import Any, NamedTuple

import orjson
import structlog
from starlette.requests import Request as HttpRequest

from cache.answers import MAX_ANSWER_BYTES, AnswerCache
from cache.hottest import MOST_TOLD, Hottest
from cache.link import CacheUnavailable
from db.changes import listen
from db.engine import Database
from db.errors import DatabaseUnavailable
from graph.documents import NotAQuery
from graph.identity.callers import Caller
from graph.pipeline import Answer, GraphQLRequest, Pipeline
from server.http.fast_path import AnonymousRequest, FastPath
from server.http.media_types import JSON
from server.http.request_parsing import RequestError, parse_request

RECORD_EVERY_SECONDS = 60.0
# Between two requests, so that those who do not only prepare go first.
PAUSE_SECONDS = 0.02
LOOK_SECONDS = 0.05
HEARD_WITHIN_SECONDS = 10.0
log = structlog.get_logger("candlegraph.cache")


class WarmingError(Exception):
    """The cache cannot be warmed; the message says why."""


class Asked(NamedTuple):
    """A request, and what people call it."""

    name: str
    request: GraphQLRequest


@dataclass
class Warmed:
    """How it went. live: answers that are never kept, and nothing is wrong with them. refused: names and errors."""

    asked: int = 0
    kept: int = 0
    live: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


async def record_for_ever(fast_path: FastPath, hottest: Hottest) -> None:
    """Every minute, as far as Redis is well."""
    while True:
        await asyncio.sleep(RECORD_EVERY_SECONDS * uniform(0.8, 1))  # noqa: S311 - so that not all servers come at once
        try:
            await record(fast_path, hottest)
        except CacheUnavailable:
            continue
        except Exception as error:
            log.warning("recording_failed", error=type(error).__name__)


async def record(fast_path: FastPath, hottest: Hottest) -> None:
    """Tell what was asked most since the last time. Raises CacheUnavailable."""
    asked = Counter[bytes]()
    for key, times in fast_path.most_requested(MOST_TOLD).items():
        asked[_written(await _request_of(key))] += times
    await hottest.tell(asked)


async def warm_memory(operations: Pipeline, cache: AnswerCache, hottest: Hottest, caller: Caller) -> None:
    """Ask what servers were asked most, so that it is in this one's memory when somebody does, such as this caller."""
    await _until_heard(cache)
    with suppress(CacheUnavailable):
        requests = await recorded(hottest)
        for asked in requests:
            # What is seen once is not worth keeping a plan for: it is asked twice.
            for _ in range(2):
                await _ask(operations, asked.request._replace(caller=caller))
                await asyncio.sleep(PAUSE_SECONDS)
        log.info("memory_warmed", requests=len(requests))


async def recorded(hottest: Hottest) -> list[Asked]:
    """The requests that servers were asked most. Raises CacheUnavailable."""
    found = []
    for number, body in enumerate(await hottest.requests(), 1):
        # Anybody may have written to Redis.
        with suppress(RequestError):
            request = await read_body(body)
            found.append(Asked(f"{request.name or 'request'} (number {number} of the hottest)", request))
    return found


async def read_body(body: bytes) -> GraphQLRequest:
    """The request in this JSON, as clients send it. Raises RequestError."""
    return await _request_of((b"POST", body, (b"content-type", JSON.encode())))


@asynccontextmanager
async def hearing(database: Database, cache: AnswerCache) -> AsyncIterator[None]:
    """While the block runs, changes are heard, without which nothing is kept. Raises DatabaseError or WarmingError."""
    probe = await database.probe()
    if probe.message is not None:
        raise DatabaseUnavailable(probe.message)
    listening = asyncio.create_task(listen(database, cache))
    try:
        await _heard_in_time(cache)
        yield
    finally:
        listening.cancel()
        await asyncio.wait({listening}, timeout=1)


async def warm_redis(
    operations: Pipeline, cache: AnswerCache, requests: Sequence[Asked], progress: Callable[[int], Any]
) -> Warmed:
    """Ask all of these; whatever may be kept is in Redis by the end. progress is told how many are done."""
    warmed = Warmed()
    for asked in requests:
        answer = await _ask(operations, asked.request)
        error = _first_error(answer) or await _why_not_kept(cache, answer)
        warmed.asked += 1
        if error is not None:
            warmed.refused.append((asked.name, error))
        elif answer is not None and answer.entry is not None:
            warmed.kept += 1
        else:
            warmed.live += 1
        progress(warmed.asked)
    return warmed


async def _ask(operations: Pipeline, request: GraphQLRequest) -> Answer | None:
    """The answer; None to what is no query."""
    try:
        return await operations.answer(request, queries_only=True)
    except NotAQuery:
        return None


def _first_error(answer: Answer | None) -> str | None:
    if answer is None:
        return "Only queries are asked."
    errors = None if answer.entry else orjson.loads(answer.body).get("errors")
    return str(errors[0]["message"]) if errors else None


async def _why_not_kept(cache: AnswerCache, answer: Answer | None) -> str | None:
    """Why another server would not find an answer that may be kept; None where it would."""
    entry = answer.entry if answer else None
    if entry is None or cache.shared is None:
        return None
    if len(entry.body) > MAX_ANSWER_BYTES:
        return f"Its answer has {len(entry.body):,} bytes, and {MAX_ANSWER_BYTES:,} may be kept."
    await cache.shared.written()
    return None if await cache.find_shared(entry.key, entry.tags) else "Redis did not keep its answer."


async def _heard_in_time(cache: AnswerCache) -> None:
    try:
        async with asyncio.timeout(HEARD_WITHIN_SECONDS):
            await _until_heard(cache)
    except TimeoutError:
        raise WarmingError("Changes of the database cannot be heard, so no answer may be kept.") from None


async def _until_heard(cache: AnswerCache) -> None:
    # Whether they are depends on the time, too: there is no event to wait for.
    while not cache.changes.is_listening:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)


async def _request_of(key: AnonymousRequest) -> GraphQLRequest:
    """What is asked in these bytes. Raises RequestError."""
    method, sent, *headers = key
    assert isinstance(method, bytes)
    # Of the two, each method reads its own.
    scope = {"type": "http", "method": method.decode(), "query_string": sent, "headers": headers}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent}

    return await parse_request(HttpRequest(scope, receive))


def _written(request: GraphQLRequest) -> bytes:
    """A request as JSON, the same however it was sent, and nothing that is not part of it."""
    named = {"query": request.query} if request.query else {"documentId": request.sha256}
    sent = {**named, "variables": request.variables or None, "operationName": request.name}
    given = {name: value for name, value in sent.items() if value is not None}
    return orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
