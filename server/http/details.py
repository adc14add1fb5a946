"""Details of the server's health: for callers with the scope ADMIN, and for every client of the private port."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.errors import Forbidden
from graph.identity.permissions import check_sees_all
from server.http.errors import HTTPError, error_pages, error_response
from server.request_state import bind_request_id, state_of


def require_admin(route: Route) -> Route:
    """The same route, for callers that may see everything."""
    respond: Callable[[Request], Awaitable[Response]] = route.endpoint

    async def guarded(request: Request) -> Response:
        try:
            check_sees_all(state_of(request.scope).caller)
        except Forbidden as error:
            code = error.extensions["code"]
            rejection = HTTPError(401 if code == "UNAUTHENTICATED" else 403, code, str(error))
            return error_response(rejection, request.scope)
        return await respond(request)

    return Route(route.path, guarded)


class PrivatePortMiddleware:
    """Serves requests on the private port with these routes only, without identifying callers."""

    def __init__(self, app: ASGIApp, *, port: int, routes: Sequence[Route]) -> None:
        self._app = app
        self._port = port
        self._private = error_pages(Router(routes=routes))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # The port of the socket: no header decides it.
        server = scope.get("server") if scope["type"] == "http" else None
        if server is None or server[1] != self._port:
            return self._app(scope, receive, send)
        bind_request_id(state_of(scope))
        return self._private(scope, receive, send)
