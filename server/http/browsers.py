"""What keeps the pages of others from doing anything with us by the browsers that show them."""

from collections.abc import Awaitable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.media_types import JSON, is_json

# Where a scope holds the Content-Security-Policy of its answer, if that is a page.
POLICY = "candlegraph.policy"
CONTENT_SECURITY_POLICY = b"content-security-policy"
# Of all answers. Each takes half a microsecond to send, so there are no more than data needs.
ALWAYS = ((b"x-content-type-options", b"nosniff"),)
# A browser that is made to show data as a page loads nothing for it, runs nothing of it, and frames it nowhere.
OF_DATA = (CONTENT_SECURITY_POLICY, b"default-src 'none'; frame-ancestors 'none'")
# Beside its policy, a page says whom it tells where people come from, and the same to browsers that are old.
OF_PAGE = (
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
# Two years. Said by HTTPS alone: RFC 6797 wants it so.
ONLY_BY_HTTPS = (b"strict-transport-security", b"max-age=63072000")

# A page of another site can send none of these before its browser has asked us whether it may.
PREFLIGHTED = ("x-requested-with", "graphql-preflight", "apollo-require-preflight", "x-apollo-operation-name")
PREFLIGHTED_BYTES = frozenset(name.encode() for name in PREFLIGHTED)
NOT_PREFLIGHTED = (
    "A GET needs a header that no page of another site can send unasked:"
    f" GraphQL-Preflight: 1, or Content-Type: {JSON}."
)
# What our answers say of what a caller may spend.
RATE_LIMIT = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
# Browsers ask again after this; some do so sooner, whatever they are told.
PREFLIGHT_SECONDS = 7_200


class Protected:
    """An application whose every answer carries the headers. On the way of all: no coroutine of its own."""

    def __init__(self, app: ASGIApp, *, is_production: bool) -> None:
        self._app = app
        # Without HTTPS, and with it.
        always = ALWAYS, (*ALWAYS, ONLY_BY_HTTPS) if is_production else ALWAYS
        self._of_data = [(*those, OF_DATA) for those in always]
        self._of_page = [(*those, *OF_PAGE) for those in always]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        def sent(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                is_https = scope["scheme"] == "https"
                if POLICY in scope:
                    ours = (*self._of_page[is_https], (CONTENT_SECURITY_POLICY, scope[POLICY]))
                else:
                    ours = self._of_data[is_https]
                message["headers"] = [*message.get("headers", ()), *ours]
            return send(message)

        return self._app(scope, receive, sent)


class ProtectedStarlette(Starlette):
    """With the headers on what Starlette answers by itself, too, such as to a fault of ours.

    Its middleware stands outside of what answers faults, where each message costs one more coroutine.
    """

    is_production = False

    def build_middleware_stack(self) -> ASGIApp:
        app: ASGIApp = ServerErrorMiddleware(ExceptionMiddleware(self.router))
        for middleware, args, kwargs in reversed(self.user_middleware):
            app = middleware(app, *args, **kwargs)
        return Protected(app, is_production=self.is_production)


def is_preflighted(scope: Scope) -> bool:
    """Whether no browser sends this request for a page of another site without asking us first."""
    for name, value in scope["headers"]:
        if value and name in PREFLIGHTED_BYTES:
            return True
        if name == b"content-type" and is_json(value.decode("latin-1")):
            return True
    return False


def cors(origins: list[str]) -> Middleware:
    """Lets the pages of these origins ask, and read. No cookie says who somebody is, so none is let through."""
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "graphql-cost", *PREFLIGHTED],
        expose_headers=["etag", "retry-after", "www-authenticate", "x-cache", *RATE_LIMIT],
        max_age=PREFLIGHT_SECONDS,
    )
