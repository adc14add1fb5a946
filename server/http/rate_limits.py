"""What HTTP says of what a caller has left, and how it refuses one that has nothing left."""

import math

import orjson
from starlette.responses import Response

from cache.buckets import Level
from graph.metering import RateLimited
from server.http.caching import Head


def headers_of(level: Level | None) -> Head:
    """RateLimit-Limit, -Remaining and -Reset, in points and seconds; nothing where nothing is counted."""
    if level is None:
        return []
    return [
        (b"ratelimit-limit", b"%d" % level.capacity),
        (b"ratelimit-remaining", b"%d" % level.remaining),
        (b"ratelimit-reset", b"%d" % math.ceil(level.full_in)),
    ]


def refusal(error: RateLimited, media_type: str) -> Response:
    level = error.level
    extensions = {
        "code": "RATE_LIMITED",
        "cost": error.points,
        "limit": level.capacity,
        "remaining": level.remaining,
        "retryAfterSeconds": level.retry_after,
    }
    body = orjson.dumps({"errors": [{"message": str(error), "extensions": extensions}]})
    response = Response(body, 429, {"Cache-Control": "no-store"}, media_type)
    response.raw_headers += headers_of(level)
    if level.retry_after is not None:
        response.raw_headers.append((b"retry-after", b"%d" % max(1, math.ceil(level.retry_after))))
    return response
