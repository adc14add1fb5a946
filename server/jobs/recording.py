"""The job that records the most popular requests of this process in Redis, and the requests that are recorded there."""

from collections import Counter
from contextlib import suppress
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request as HttpRequest

from cache.hottest import MAX_RETURNED, Hottest
from cache.link import CacheUnavailable
from graph.request import GraphQLRequest
from server.http.fast_path import AnonymousRequest, FastPath
from server.http.media_types import JSON
from server.http.request_parsing import RequestError, parse_request
from server.jobs.job import Job

EVERY_SECONDS = 60.0


class NamedRequest(NamedTuple):
    """A request, and its name for messages."""

    name: str
    request: GraphQLRequest


def recording(fast_path: FastPath, hottest: Hottest) -> Job:
    async def run() -> str:
        try:
            return f"{await record(fast_path, hottest):,} requests recorded"
        except CacheUnavailable:
            # The breaker logs it, and its metrics show it.
            return "Redis is unavailable: nothing recorded"

    return Job("recording", EVERY_SECONDS, run)


async def record(fast_path: FastPath, hottest: Hottest) -> int:
    """Record the most popular requests since the last call; return how many. Raises CacheUnavailable."""
    counts = Counter[bytes]()
    for key, count in fast_path.most_requested(MAX_RETURNED).items():
        counts[_canonical_json(await _request_from(key))] += count
    await hottest.record(counts)
    return len(counts)


async def recorded_requests(hottest: Hottest) -> list[NamedRequest]:
    """The requests that servers recorded, the most popular first. Raises CacheUnavailable."""
    requests = []
    for number, body in enumerate(await hottest.requests(), 1):
        # Any client of Redis may have written it.
        with suppress(RequestError):
            request = await read_request(body)
            requests.append(NamedRequest(f"{request.name or 'request'} (number {number} of the hottest)", request))
    return requests


async def read_request(body: bytes) -> GraphQLRequest:
    """The request in this JSON, as clients send it. Raises RequestError."""
    return await _request_from((b"POST", body, (b"content-type", JSON.encode())))


async def _request_from(key: AnonymousRequest) -> GraphQLRequest:
    """The request that these bytes hold. Raises RequestError."""
    method, content, *headers = key
    assert isinstance(method, bytes)
    # A GET request is read from the query string, a POST request from the body.
    scope = {"type": "http", "method": method.decode(), "query_string": content, "headers": headers}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content}

    return await parse_request(HttpRequest(scope, receive))


def _canonical_json(request: GraphQLRequest) -> bytes:
    """The request as JSON: the same for every way to send it, without anything else that the client sent."""
    document = {"query": request.query} if request.query else {"documentId": request.sha256}
    parts = {**document, "variables": request.variables or None, "operationName": request.name}
    given = {name: value for name, value in parts.items() if value is not None}
    return orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
