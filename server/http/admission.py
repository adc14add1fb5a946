"""Load shedding: while the database cannot answer in time, GraphQL requests get a 503 before they are parsed.

Requests that need no connection to the database are served regardless: answers from memory, health, metrics.
"""

import time
from random import choice

from starlette.types import Scope, Send

from db.connection_queue import ConnectionQueue
from server.http.errors import HTTPError, PreparedError
from server.http.media_types import GRAPHQL_JSON, JSON
from server.monitoring.metrics import OTHER, RequestMetrics
from server.request_state import RequestState

# A request that would wait longer for a connection is rejected; half of the request timeout, if that is less.
LONGEST_WAIT_SECONDS = 1.0
# How long one estimate is used: an estimate for each request would cost more than all else that is done here.
ESTIMATE_SECONDS = 0.002
# At most this many requests wait, however short their wait: each takes memory.
MOST_WAITING = 2_000
# A rejection costs something too, and in a flood the server would do nothing else: after this many rejections in a
# second, the connection of a rejected request is not read again before its Retry-After is over.
REJECTIONS_A_SECOND = 100
# Several values, so that clients that are rejected together do not return together.
RETRY_AFTER_SECONDS = (1, 2, 3)
# Headers of a proxy, whose connection carries the requests of many clients.
PROXY_HEADERS = frozenset({b"x-forwarded-for", b"forwarded", b"via"})


def longest_wait(request_timeout_seconds: float) -> float:
    """For how many seconds a request may wait for a connection."""
    return min(request_timeout_seconds / 2, LONGEST_WAIT_SECONDS)


class Admission:
    """Estimates whether another request would get a connection to the database in time."""

    def __init__(self, queue: ConnectionQueue, longest_wait_seconds: float) -> None:
        self._queue = queue
        self._longest_wait = longest_wait_seconds
        self._is_full = False
        self._valid_until = 0.0

    @property
    def is_full(self) -> bool:
        now = time.monotonic()
        if now >= self._valid_until:
            self._valid_until = now + ESTIMATE_SECONDS
            expected = self._queue.expected_wait_seconds
            self._is_full = expected > self._longest_wait or self._queue.waiting >= MOST_WAITING
        return self._is_full


class LoadShedder:
    """Rejects operations while Admission is full. It comes after the fast path, which needs no database."""

    def __init__(self, admission: Admission, metrics: RequestMetrics) -> None:
        self._admission = admission
        self._metrics = metrics
        # How many requests have been rejected in this second.
        self._second, self._rejections = 0, 0

    def must_reject(self, scope: Scope, state: RequestState) -> bool:
        return (state.is_rejected or self._admission.is_full) and _has_operation(scope)

    async def reject(self, state: RequestState, send: Send) -> None:
        started = time.perf_counter()
        # No content negotiation: it would take longer than the rejection.
        media_type = GRAPHQL_JSON if GRAPHQL_JSON.encode() in state.headers.get(b"accept", b"") else JSON
        seconds, error = choice(OVERLOADED[media_type])  # noqa: S311
        if self._is_flooded(started) and PROXY_HEADERS.isdisjoint(state.headers):
            state.pause_seconds = seconds
        await error.send(state.request_id, send)
        self._metrics.answered(None, "shed", OTHER, started)

    def _is_flooded(self, now: float) -> bool:
        """Count a rejection; return whether there have been too many in this second."""
        if int(now) != self._second:
            self._second, self._rejections = int(now), 0
        self._rejections += 1
        return self._rejections > REJECTIONS_A_SECOND


def _has_operation(scope: Scope) -> bool:
    """A GET without a query string is for GraphiQL."""
    return scope["method"] == "POST" or bool(scope["query_string"])


def _overloaded(media_type: str, seconds: int) -> tuple[int, PreparedError]:
    message = f"The server is overloaded: try again in {seconds} s."
    error = HTTPError(503, "OVERLOADED", message, (b"retry-after", b"%d" % seconds))
    return seconds, PreparedError(error, media_type)


OVERLOADED = {
    media_type: [_overloaded(media_type, seconds) for seconds in RETRY_AFTER_SECONDS]
    for media_type in (JSON, GRAPHQL_JSON)
}
