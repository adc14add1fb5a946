"""Error responses: the one exception for errors of HTTP, and the one envelope that they are sent in.

HTTPError
 ├ RequestError (request_parsing.py)   the request is malformed, or is not allowed
 └ AuthenticationError (callers.py)    the caller could not be identified

Errors of GraphQL itself, beside data or instead of it, are presented by graph/errors.py.
"""

from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.media_types import JSON
from server.http.responses import NO_STORE, VARY, HeaderList, content_type
from server.request_state import state_of

# Of Starlette's router, by status.
ROUTER_ERRORS = {
    404: ("NOT_FOUND", "There is nothing at this path."),
    405: ("METHOD_NOT_ALLOWED", "This path does not support the method."),
}
WWW_AUTHENTICATE = (b"www-authenticate", b'Bearer realm="candlegraph"')


class HTTPError(Exception):
    """A request is answered with this status, and with an error of this code. headers: beside those of all errors.

    extensions: more members of the error's extensions.
    """

    def __init__(self, status: int, code: str, message: str, *headers: tuple[bytes, bytes], **extensions: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers
        self.extensions = extensions


class PreparedError:
    """An error response that is sent in floods: all but the id of the request is encoded beforehand."""

    _PLACEHOLDER = "0" * 32

    def __init__(self, error: HTTPError, media_type: str) -> None:
        self._status = error.status
        self._head = _headers(error, media_type)
        self._before, self._after = _body(error, self._PLACEHOLDER).split(self._PLACEHOLDER.encode())

    async def send(self, request_id: bytes, send: Send) -> None:
        # The id holds nothing that JSON would escape.
        body = b"%s%s%s" % (self._before, request_id, self._after)
        # A list of its own: middleware may append to it.
        headers = [*self._head, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def error_response(error: HTTPError, scope: Scope, media_type: str = JSON) -> Response:
    """The error as a response to the request of this scope."""
    body = _body(error, state_of(scope).request_id.decode("ascii"))
    response = Response(body, error.status)
    response.raw_headers = [*_headers(error, media_type), (b"content-length", b"%d" % len(body))]
    return response


async def internal_error(request: Request, _: Exception) -> Response:
    """The response to an unexpected exception, which uvicorn logs with its traceback."""
    error = HTTPError(500, "INTERNAL_SERVER_ERROR", "Something went wrong on our side.")
    return error_response(error, request.scope)


async def send_internal_error(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application that responds as internal_error() does."""
    await (await internal_error(Request(scope, receive), Exception()))(scope, receive, send)


async def http_error(request: Request, exception: Exception) -> Response:
    """The response to an HTTPException of Starlette's router: an unknown path, or a method that it does not support."""
    assert isinstance(exception, HTTPException)
    code, message = ROUTER_ERRORS[exception.status_code]
    headers = [(name.lower().encode(), value.encode()) for name, value in (exception.headers or {}).items()]
    return error_response(HTTPError(exception.status_code, code, message, *headers), request.scope)


def error_pages(app: ASGIApp) -> ASGIApp:
    """The application with the error envelope for its exceptions."""
    exceptions = ExceptionMiddleware(app, handlers={HTTPException: http_error})
    return ServerErrorMiddleware(exceptions, handler=internal_error)


def _body(error: HTTPError, request_id: str) -> bytes:
    extensions = {"code": error.code, **error.extensions, "requestId": request_id}
    return orjson.dumps({"errors": [{"message": str(error), "extensions": extensions}]})


def _headers(error: HTTPError, media_type: str) -> HeaderList:
    """All but the length. A 401 says how to authenticate."""
    authenticate = [WWW_AUTHENTICATE] if error.status == 401 else []
    return [content_type(media_type), VARY, NO_STORE, *authenticate, *error.headers]
