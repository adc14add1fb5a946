"""Who is let in: beyond what the database answers in time, a request is refused before it is read.

What nobody waits for the database for is served whatever happens: answers from memory, health, metrics.
"""

import time
from collections.abc import Awaitable
from random import choice

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from db.connection_queue import ConnectionQueue
from server.http.caching import Head
from server.http.media_types import GRAPHQL_JSON, JSON
from server.monitoring.metrics import OTHER, RequestMetrics
from server.overload.protocol import PAUSE
from server.overload.request_queue import REJECTED

# Whoever would wait longer is refused; half of the time for a request, where that is less.
LONGEST_WAIT_SECONDS = 1.0
# For so long one judgement holds: to reckon for each request would cost more than all else that is done here.
JUDGED_SECONDS = 0.002
# So many may wait, however short: each takes memory.
MOST_WAITING = 2_000
# To refuse costs something too, and a flood would leave no time to answer anybody: when so many have been refused in a
# second, whoever else is, and comes back sooner than it was told to, is not read before.
REFUSALS_A_SECOND = 100
# Those who are refused together should not come back together.
RETRY_AFTER_SECONDS = (1, 2, 3)


def longest_wait(request_timeout_seconds: float) -> float:
    return min(request_timeout_seconds / 2, LONGEST_WAIT_SECONDS)


class Admission:
    """Whether there is room for one more who may need the database."""

    def __init__(self, queue: ConnectionQueue, longest_wait_seconds: float) -> None:
        self._queue = queue
        self._longest_wait = longest_wait_seconds
        self._is_full = False
        self._judged_until = 0.0

    @property
    def is_full(self) -> bool:
        now = time.monotonic()
        if now >= self._judged_until:
            self._judged_until = now + JUDGED_SECONDS
            expected = self._queue.expected_wait_seconds
            self._is_full = expected > self._longest_wait or self._queue.waiting >= MOST_WAITING
        return self._is_full


class AdmissionMiddleware:
    """Answers for a path, with 503, while there is no room. It stands behind whatever answers from memory."""

    def __init__(self, app: ASGIApp, path: str, admission: Admission, metrics: RequestMetrics) -> None:
        self._app = app
        self._path = path
        self._admission = admission
        self._metrics = metrics
        # How many have been refused in this second.
        self._second, self._refused = 0, 0

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # No coroutine of its own: almost everybody is let in.
        if (REJECTED in scope or self._admission.is_full) and self._is_asked(scope):
            return self._refuse(scope, send)
        return self._app(scope, receive, send)

    def _is_asked(self, scope: Scope) -> bool:
        return scope["type"] == "http" and scope["path"] == self._path and _asks(scope)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        started = time.perf_counter()
        # What the client likes best is not weighed: that would take longer than the refusal.
        is_new = any(name == b"accept" and GRAPHQL_JSON.encode() in value for name, value in scope["headers"])
        seconds, headers, body = choice(REFUSALS[GRAPHQL_JSON if is_new else JSON])  # noqa: S311
        if self._is_flooded(started) and not _is_shared(scope):
            scope[PAUSE] = seconds
        # Whoever stands before us may add to the list.
        await send({"type": "http.response.start", "status": 503, "headers": [*headers]})
        await send({"type": "http.response.body", "body": body})
        self._metrics.answered(None, "shed", OTHER, started)

    def _is_flooded(self, now: float) -> bool:
        """Whether one more refusal is one too many."""
        if int(now) != self._second:
            self._second, self._refused = int(now), 0
        self._refused += 1
        return self._refused > REFUSALS_A_SECOND


def _asks(scope: Scope) -> bool:
    """Without a query string, a GET asks for GraphiQL."""
    return scope["method"] == "POST" or bool(scope["query_string"])


def _is_shared(scope: Scope) -> bool:
    """Whether the connection is that of a proxy, which sends what others ask for."""
    return any(name in (b"x-forwarded-for", b"forwarded", b"via") for name, _ in scope["headers"])


def _refusal(media_type: str, seconds: int) -> tuple[int, Head, bytes]:
    """When to come back, and what is sent."""
    message = f"The server has more to do than it can: try again in {seconds} s."
    body = orjson.dumps({"errors": [{"message": message, "extensions": {"code": "OVERLOADED"}}]})
    headers = [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"%d" % seconds),
        (b"cache-control", b"no-store"),
    ]
    return seconds, headers, body


REFUSALS = {
    media_type: [_refusal(media_type, seconds) for seconds in RETRY_AFTER_SECONDS]
    for media_type in (JSON, GRAPHQL_JSON)
}
