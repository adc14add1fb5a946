"""Rate limits over HTTP: the RateLimit headers, and the response to a caller that has spent all of its points."""

import math

from cache.buckets import Level
from graph.metering import RateLimited
from server.http.errors import HTTPError
from server.http.responses import HeaderList


def rate_limit_headers(level: Level | None) -> HeaderList:
    """RateLimit-Limit, -Remaining and -Reset, in points and seconds; none if the caller is not limited."""
    if level is None:
        return []
    return [
        (b"ratelimit-limit", b"%d" % level.capacity),
        (b"ratelimit-remaining", b"%d" % level.remaining),
        (b"ratelimit-reset", b"%d" % math.ceil(level.full_in)),
    ]


def rate_limit_error(error: RateLimited) -> HTTPError:
    """429, with Retry-After unless the operation costs more than the bucket ever holds."""
    level = error.level
    headers = rate_limit_headers(level)
    if level.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(level.retry_after))))
    return HTTPError(
        429,
        "RATE_LIMITED",
        str(error),
        *headers,
        cost=error.points,
        limit=level.capacity,
        remaining=level.remaining,
        retryAfterSeconds=level.retry_after,
    )
