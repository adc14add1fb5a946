"""Who is let in: beyond what the database answers in time, a request is refused before it is read.

What nobody waits for the database for is served whatever happens: answers from memory, health, metrics.
"""

import time
from random import choice

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from db.turns import Turns
from server.media_types import GRAPHQL_JSON, JSON
from server.metrics import OTHER, RequestMetrics

# Whoever would wait longer for a connection is refused; half of the time for a request, where that is less.
LONGEST_WAIT_SECONDS = 1.0
# So many may wait, however short: each takes memory.
MOST_WAITING = 1_000
# Those who are refused together should not come back together.
RETRY_AFTER_SECONDS = (1, 2, 3)


class Admission:
    """Whether there is room for one more who may need the database."""

    def __init__(self, turns: Turns, request_timeout_seconds: float) -> None:
        self._turns = turns
        self._longest_wait = min(request_timeout_seconds / 2, LONGEST_WAIT_SECONDS)

    @property
    def is_full(self) -> bool:
        waiting = self._turns.waiting
        if not waiting:
            return False
        return waiting >= MOST_WAITING or self._turns.expected_wait_seconds > self._longest_wait


class AdmissionMiddleware:
    """Answers for a path, with 503, while there is no room. It stands behind whatever answers from memory."""

    def __init__(self, app: ASGIApp, path: str, admission: Admission, metrics: RequestMetrics) -> None:
        self._app = app
        self._path = path
        self._admission = admission
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == self._path and self._admission.is_full and _asks(scope):
            started = time.perf_counter()
            await _refuse(scope, send)
            self._metrics.answered(None, "shed", OTHER, started)
            return
        await self._app(scope, receive, send)


def _asks(scope: Scope) -> bool:
    """Without a query string, a GET asks for GraphiQL."""
    return scope["method"] == "POST" or bool(scope["query_string"])


def _written(seconds: int) -> bytes:
    message = f"The server has more to do than it can: try again in {seconds} s."
    return orjson.dumps({"errors": [{"message": message, "extensions": {"code": "OVERLOADED"}}]})


BODIES = {seconds: _written(seconds) for seconds in RETRY_AFTER_SECONDS}


async def _refuse(scope: Scope, send: Send) -> None:
    # Nothing of it is weighed: that would take longer than the refusal.
    is_new = any(name == b"accept" and GRAPHQL_JSON.encode() in value for name, value in scope["headers"])
    seconds = choice(RETRY_AFTER_SECONDS)  # noqa: S311
    body = BODIES[seconds]
    headers = [
        (b"content-type", f"{GRAPHQL_JSON if is_new else JSON}; charset=utf-8".encode()),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"%d" % seconds),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
