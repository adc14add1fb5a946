"""Parsing of an HTTP request: the operation, and the media type of its answer."""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.types import Receive

from graph.identity.callers import ANONYMOUS, Caller
from graph.identity.scopes import Scope
from graph.persisted import SHA256
from graph.request import GraphQLRequest
from server.http.browsers import PREFLIGHT_REQUIRED, is_preflighted
from server.http.errors import HTTPError
from server.http.media_types import GRAPHQL_JSON, HTML, JSON, is_json, negotiate
from server.request_state import RequestState, state_of

MAX_BODY = 2**20
# For callers that may write: recordCandles takes 10,000 candles.
MAX_BODY_OF_WRITERS = 2**22
MAX_DEPTH = 100
MAX_QUERY = 100_000
MAX_QUERY_STRING = 2**15
# The answer to a request with this header reports its cost.
COST = b"graphql-cost"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PARAMETERS = {"query", "variables", "operationName", "extensions", "documentId"}
# With none of these in its URL, a GET has no operation.
OPERATION_PARAMETERS = {"query", "extensions", "documentId"}
DOCUMENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,200}", re.ASCII)


class RequestError(HTTPError):
    """The request is malformed, or is not allowed: it is not executed."""


NOT_BY_GET = RequestError(405, "METHOD_NOT_ALLOWED", "Only queries may be sent by GET.", (b"allow", b"POST"))


def check_method(request: Request) -> None:
    """Raises RequestError."""
    if request.method == "POST":
        return
    if request.method not in ("GET", "HEAD"):
        raise RequestError(405, "METHOD_NOT_ALLOWED", "Use POST, or GET for queries.", (b"allow", b"GET, HEAD, POST"))
    if len(request.scope["query_string"]) > MAX_QUERY_STRING:
        raise RequestError(414, "URI_TOO_LONG", f"A URL may hold {MAX_QUERY_STRING:,} bytes at most: use POST.")


def check_preflight(request: Request) -> None:
    """A GET must have a header that needs a preflight; the type of a POST's body needs one. Raises RequestError."""
    if request.method != "POST" and not is_preflighted(request.scope):
        raise RequestError(400, "CSRF_REFUSED", PREFLIGHT_REQUIRED)


def answer_type(request: Request, *, has_page: bool) -> str:
    """The media type that the client prefers; HTML is offered, if there is a page, to a GET without an operation.

    Raises RequestError.
    """
    accept = b",".join([value for name, value in request.scope["headers"] if name == b"accept"]).decode("latin-1")
    has_operation = request.method == "POST" or not OPERATION_PARAMETERS.isdisjoint(request.query_params)
    offered = (JSON, GRAPHQL_JSON) if has_operation or not has_page else (JSON, GRAPHQL_JSON, HTML)
    media_type = negotiate(accept, offered)
    if media_type is None:
        raise RequestError(406, "NOT_ACCEPTABLE", f"The answer can be one of these: {', '.join(offered)}.")
    return media_type


async def parse_request(request: Request, caller: Caller = ANONYMOUS) -> GraphQLRequest:
    """The operation that the caller sends. Raises RequestError."""
    headers: dict[bytes, bytes] = dict(request.scope["headers"])
    if request.method == "POST":
        members = await _json_body(request, headers, MAX_BODY_OF_WRITERS if caller.may(Scope.WRITE) else MAX_BODY)
    else:
        members = _url_parameters(request)
    return _graphql_request(members, caller, reports_cost=COST in headers)


async def read_body(state: RequestState, receive: Receive, limit: int) -> None:
    """Read the rest of the body into the state, or until it is longer than the limit, in bytes. Raises RequestError."""
    while not state.is_body_complete and len(state.body) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError(400, "BAD_REQUEST", "The body ended early.")
        chunk = message.get("body", b"")
        if not state.body:
            state.body = chunk
        elif isinstance(state.body, bytearray):
            state.body += chunk
        else:
            state.body = bytearray(state.body) + chunk
        state.is_body_complete = not message.get("more_body", False)


async def _json_body(request: Request, headers: Mapping[bytes, bytes], max_body: int) -> dict[str, Any]:
    if not is_json(headers.get(b"content-type", b"").decode("latin-1")):
        message = "Send the request as application/json, in UTF-8."
        raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", message, (b"accept", JSON.encode()))
    if headers.get(b"content-encoding", b"identity") != b"identity":
        message = "Send the body as it is, without a content encoding."
        raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", message, (b"accept-encoding", b"identity"))
    if _exceeds(headers.get(b"content-length", b""), max_body):
        raise _too_large(max_body)
    state = state_of(request.scope)
    await read_body(state, request.receive, max_body)
    body = state.body
    if len(body) > max_body:
        raise _too_large(max_body)
    # Free the memory during the execution: a body may have some MiB.
    state.body = b""
    members = _decode(body.removeprefix(BYTE_ORDER_MARK), "The body")
    if not isinstance(members, dict):
        raise RequestError(400, "BAD_REQUEST", "The body must be one JSON object with a query: batches are not served.")
    # To count is fast, and shows for most bodies that they need no closer look.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_deeper(members, MAX_DEPTH):
        raise RequestError(400, "BAD_REQUEST", f"The body may nest {MAX_DEPTH} levels deep at most.")
    return members


def _exceeds(length: bytes, limit: int) -> bool:
    """Whether a Content-Length is above the limit. An invalid one is ignored: the body is counted anyway."""
    digits = length.lstrip(b"0")
    # Python reads no integer of more than 4,300 digits.
    return digits.isdigit() and (len(digits) > 20 or int(digits) > limit)


def _too_large(limit: int) -> RequestError:
    return RequestError(413, "PAYLOAD_TOO_LARGE", f"The body may hold {limit:,} bytes at most.")


def _url_parameters(request: Request) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        # A proxy or a filter on the way may have read the other value.
        if name in parameters:
            raise RequestError(400, "BAD_REQUEST", f"The parameter {name} is given twice.")
        if name in PARAMETERS:
            parameters[name] = text
    for name in ("variables", "extensions"):
        given = parameters.get(name)
        parameters[name] = _decode(given, f"The parameter {name}") if given else None
        if _is_deeper(parameters[name], MAX_DEPTH):
            raise RequestError(400, "BAD_REQUEST", f"The parameter {name} may nest {MAX_DEPTH} levels deep at most.")
    return parameters


def _decode(text: str | bytes | bytearray, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, "BAD_REQUEST", f"{what} is not valid JSON: {error.msg}.") from None


def _is_deeper(value: Any, limit: int) -> bool:
    """Whether lists and objects are nested deeper. Code that handles variables later may rely on it, and recurse."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        inner = (part for outer in level for part in (outer.values() if isinstance(outer, dict) else outer))
        level = [part for part in inner if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _graphql_request(members: Mapping[str, Any], caller: Caller, *, reports_cost: bool) -> GraphQLRequest:
    query, variables = members.get("query"), members.get("variables")
    name, extensions = members.get("operationName"), members.get("extensions")
    if not isinstance(extensions, dict | None):
        raise RequestError(400, "BAD_REQUEST", "The extensions must be an object.")
    sha256 = _document_name(members.get("documentId"), (extensions or {}).get("persistedQuery"))
    if not isinstance(query, str | None) or not (query or sha256):
        raise RequestError(400, "BAD_REQUEST", "The request needs a query, as a string, or the hash of one.")
    if query and len(query) > MAX_QUERY:
        raise RequestError(413, "QUERY_TOO_LARGE", f"A query may hold {MAX_QUERY:,} characters at most.")
    if not isinstance(variables, dict | None):
        raise RequestError(400, "BAD_REQUEST", "The variables must be an object.")
    if not isinstance(name, str | None):
        raise RequestError(400, "BAD_REQUEST", "The operationName must be a string.")
    return GraphQLRequest(query or None, variables or {}, name or None, sha256, caller, reports_cost)


def _document_name(document_id: Any, persisted_query: Any) -> str | None:
    """The hash or id of the document: by the draft of GraphQL over HTTP, by Apollo's protocol, or by both alike."""
    name = None if document_id is None or document_id == "" else _document_id(document_id)
    sha256 = None if persisted_query is None else _hash(persisted_query)
    if name and sha256 and name != sha256:
        message = "The documentId and the persistedQuery name different documents."
        raise RequestError(400, "BAD_REQUEST", message)
    return name or sha256


def _document_id(given: Any) -> str:
    """A hash in lower case, or the id of a trusted document."""
    text = given if isinstance(given, str) else ""
    plain = text.removeprefix("sha256:")
    if SHA256.fullmatch(plain.lower()):
        return plain.lower()
    if not DOCUMENT_ID.fullmatch(text):
        message = 'The documentId must be "sha256:" with 64 hexadecimal digits, or an id without a colon.'
        raise RequestError(400, "BAD_REQUEST", message)
    return text


def _hash(persisted_query: Any) -> str:
    if not isinstance(persisted_query, dict):
        raise RequestError(400, "BAD_REQUEST", "The persistedQuery must be an object.")
    if persisted_query.get("version") != 1:
        raise RequestError(400, "BAD_REQUEST", "Unsupported persisted query version")
    sha256 = persisted_query.get("sha256Hash")
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256.lower()):
        raise RequestError(400, "BAD_REQUEST", "The sha256Hash must be 64 hexadecimal digits.")
    return sha256.lower()
