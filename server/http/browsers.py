"""Rules for browsers: which pages of other sites may send requests (CORS), and protection against forgeries (CSRF)."""

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Scope

from server.http.media_types import JSON, is_json

# A page of another site can send none of these before its browser has sent a CORS preflight.
PREFLIGHTED = ("x-requested-with", "graphql-preflight", "apollo-require-preflight", "x-apollo-operation-name")
PREFLIGHTED_BYTES = frozenset(name.encode() for name in PREFLIGHTED)
PREFLIGHT_REQUIRED = (
    "A GET needs a header that no page of another site can send without a preflight:"
    f" GraphQL-Preflight: 1, or Content-Type: {JSON}."
)
RATE_LIMIT = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
# Browsers repeat a preflight after this time; some cap it at less.
PREFLIGHT_SECONDS = 7_200


def is_preflighted(scope: Scope) -> bool:
    """Whether a browser sends a CORS preflight before it sends this request for a page of another site."""
    for name, value in scope["headers"]:
        if value and name in PREFLIGHTED_BYTES:
            return True
        if name == b"content-type" and is_json(value.decode("latin-1")):
            return True
    return False


def cors(origins: list[str]) -> Middleware:
    """Lets pages of these origins send requests and read responses. Cookies identify no caller: none are allowed."""
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "graphql-cost", "traceparent", "x-request-id", *PREFLIGHTED],
        expose_headers=["etag", "retry-after", "www-authenticate", "x-cache", "x-request-id", *RATE_LIMIT],
        max_age=PREFLIGHT_SECONDS,
    )
