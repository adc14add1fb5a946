"""The ASGI application: Starlette, with the GraphQL endpoint in front of its router."""

from collections.abc import Awaitable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.errors import internal_error
from server.http.response_headers import ResponseHeaders
from server.request_state import bind_request_id, state_of


class Application(Starlette):
    """The middleware surrounds the endpoint and the routes.

    Starlette's own order puts its middleware for exceptions outside of ours, where it costs each message one more
    coroutine. Here, the endpoint handles its exceptions, and the routes have that middleware for themselves; the
    response headers are outermost, so that no response lacks them.
    """

    def __init__(
        self, path: str, endpoint: ASGIApp, *, routes: list[Route], is_production: bool, **options: Any
    ) -> None:
        # The route of the endpoint only serves the redirect from its path with a slash at the end.
        super().__init__(routes=[Route(path, endpoint), *routes], **options)
        self._path = path
        self._endpoint = endpoint
        self._is_production = is_production

    def build_middleware_stack(self) -> ASGIApp:
        router = ServerErrorMiddleware(ExceptionMiddleware(self.router), handler=internal_error)
        endpoint, path = self._endpoint, self._path

        def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if scope["type"] == "http":
                if scope["path"] == path:
                    return endpoint(scope, receive, send)
                bind_request_id(state_of(scope))
            return router(scope, receive, send)

        stack: ASGIApp = app
        for middleware, args, kwargs in reversed(self.user_middleware):
            stack = middleware(stack, *args, **kwargs)
        return ResponseHeaders(stack, is_production=self._is_production)
