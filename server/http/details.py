"""Details of how the server is: for those with the scope ADMIN, and for whoever reaches its private port."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.errors import Forbidden
from graph.identity.permissions import check_sees_all
from server.http.callers import CALLER
from server.http.errors import error_response


def for_admins(route: Route) -> Route:
    """The same, for those who may see everything."""
    answer: Callable[[Request], Awaitable[Response]] = route.endpoint

    async def guarded(request: Request) -> Response:
        try:
            check_sees_all(request.scope[CALLER])
        except Forbidden as error:
            code = error.extensions["code"]
            return error_response(401 if code == "UNAUTHENTICATED" else 403, code, str(error))
        return await answer(request)

    return Route(route.path, guarded)


class PrivatePortMiddleware:
    """Serves what arrives on one port with these routes alone, whoever sends it."""

    def __init__(self, app: ASGIApp, *, port: int, routes: Sequence[Route]) -> None:
        self._app = app
        self._port = port
        self._private = Starlette(routes=routes)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # The port of the socket: nothing that a client sends decides it.
        server = scope.get("server") if scope["type"] == "http" else None
        is_private = server is not None and server[1] == self._port
        return (self._private if is_private else self._app)(scope, receive, send)
