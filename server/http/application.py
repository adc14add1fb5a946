"""The ASGI application: Starlette, with the GraphQL endpoint in front of its router."""

from collections.abc import Awaitable
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.errors import error_pages, send_internal_error
from server.http.response_headers import ResponseHeaders
from server.request_state import bind_request_id, state_of


class Application(Starlette):
    """The middleware surrounds the endpoint and the routes.

    Starlette's own order puts its middleware for exceptions outside of ours, where it costs each message one more
    coroutine. Here, the endpoint handles its exceptions, and the routes have that middleware for themselves; the
    response headers are outermost, so that no response lacks them. Exceptions of the middleware and of the fast path
    are answered here.
    """

    def __init__(
        self, path: str, endpoint: ASGIApp, *, routes: list[Route], is_production: bool, **options: Any
    ) -> None:
        # The route of the endpoint only serves the redirect from its path with a slash at the end.
        super().__init__(routes=[Route(path, endpoint), *routes], **options)
        self._path = path
        self._endpoint = endpoint
        self._is_production = is_production
        self._fail = ResponseHeaders(send_internal_error, is_production=is_production)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        try:
            await self.middleware_stack(scope, receive, send)
        except Exception:
            if scope["type"] == "http":
                if not state_of(scope).has_response:
                    await self._fail(scope, receive, send)
                # For uvicorn, which logs the exception.
                bind_request_id(state_of(scope))
            raise

    def build_middleware_stack(self) -> ASGIApp:
        router = error_pages(self.router)
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
