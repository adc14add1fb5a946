"""What is read of an HTTP request before GraphQL sees it: the operation and the type of its answer, or why not."""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request

from graph.identity.callers import ANONYMOUS, Caller
from graph.identity.scopes import Scope
from graph.request import GraphQLRequest
from server.http.browsers import NOT_PREFLIGHTED, is_preflighted
from server.http.media_types import GRAPHQL_JSON, HTML, JSON, is_json, preferred

MAX_BODY = 2**20
# Of who may write: recordCandles takes 10,000 of them.
MAX_BODY_OF_WRITERS = 2**22
MAX_DEPTH = 100
MAX_QUERY = 100_000
MAX_QUERY_STRING = 2**15
# A request with this header is told what it has cost.
COST = b"graphql-cost"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PARAMETERS = {"query", "variables", "operationName", "extensions", "documentId"}
# With none of these in its URL, a GET asks for nothing.
ASKING = {"query", "extensions", "documentId"}
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
DOCUMENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,200}", re.ASCII)


class RequestError(Exception):
    """The request cannot be executed."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


NOT_BY_GET = RequestError(405, "METHOD_NOT_ALLOWED", "Only queries may be sent by GET.", {"Allow": "POST"})


def check_method(request: Request) -> None:
    """Raises RequestError."""
    if request.method == "POST":
        return
    if request.method not in ("GET", "HEAD"):
        raise RequestError(405, "METHOD_NOT_ALLOWED", "Use POST, or GET for queries.", {"Allow": "GET, HEAD, POST"})
    if len(request.scope["query_string"]) > MAX_QUERY_STRING:
        raise RequestError(414, "URI_TOO_LONG", f"A URL may hold {MAX_QUERY_STRING:,} bytes at most: use POST.")


def check_preflight(request: Request) -> None:
    """A body must be of a type that no page of another site can send unasked; a GET has none. Raises RequestError."""
    if request.method != "POST" and not is_preflighted(request.scope):
        raise RequestError(400, "CSRF_REFUSED", NOT_PREFLIGHTED)


def answer_type(request: Request, *, has_page: bool) -> str:
    """The media type that the client likes best; HTML, if there is a page, where nothing is asked.

    Raises RequestError.
    """
    accept = b",".join([value for name, value in request.scope["headers"] if name == b"accept"]).decode("latin-1")
    asks = request.method == "POST" or not ASKING.isdisjoint(request.query_params)
    offered = (JSON, GRAPHQL_JSON) if asks or not has_page else (JSON, GRAPHQL_JSON, HTML)
    media_type = preferred(accept, offered)
    if media_type is None:
        raise RequestError(406, "NOT_ACCEPTABLE", f"The answer can be one of these: {', '.join(offered)}.")
    return media_type


async def parse_request(request: Request, caller: Caller = ANONYMOUS) -> GraphQLRequest:
    """What the caller sends. Raises RequestError."""
    headers: dict[bytes, bytes] = dict(request.scope["headers"])
    if request.method == "POST":
        sent = await _sent(request, headers, MAX_BODY_OF_WRITERS if caller.may(Scope.WRITE) else MAX_BODY)
    else:
        sent = _parameters(request)
    return _operation(sent, caller, tells_cost=COST in headers)


async def _sent(request: Request, headers: Mapping[bytes, bytes], max_body: int) -> dict[str, Any]:
    if not is_json(headers.get(b"content-type", b"").decode("latin-1")):
        message = "Send the request as application/json, in UTF-8."
        raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", message, {"Accept": JSON})
    if headers.get(b"content-encoding", b"identity") != b"identity":
        message = "Send the body as it is, without a content encoding."
        raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", message, {"Accept-Encoding": "identity"})
    if _announces_more(headers.get(b"content-length", b""), max_body):
        raise _too_large(max_body)
    body = await _body(request, max_body)
    sent = _json(body.removeprefix(BYTE_ORDER_MARK), "The body")
    if not isinstance(sent, dict):
        raise RequestError(400, "BAD_REQUEST", "The body must be one JSON object with a query: batches are not served.")
    # Counting is quick, and tells of most bodies that they need no closer look.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_deeper(sent, MAX_DEPTH):
        raise RequestError(400, "BAD_REQUEST", f"The body may nest {MAX_DEPTH} levels deep at most.")
    return sent


async def _body(request: Request, max_body: int) -> bytearray:
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise RequestError(400, "BAD_REQUEST", "The body ended early.")
        body += message.get("body", b"")
        if len(body) > max_body:
            raise _too_large(max_body)
        if not message.get("more_body", False):
            return body


def _announces_more(length: bytes, limit: int) -> bool:
    """Whether a Content-Length is above the limit. One that is no number says nothing: the body is counted anyway."""
    digits = length.lstrip(b"0")
    # Python reads no integer of more than 4,300 digits.
    return digits.isdigit() and (len(digits) > 20 or int(digits) > limit)


def _too_large(limit: int) -> RequestError:
    return RequestError(413, "PAYLOAD_TOO_LARGE", f"The body may hold {limit:,} bytes at most.")


def _parameters(request: Request) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        # Whoever reads such a URL on its way to us may have read the other one.
        if name in parameters:
            raise RequestError(400, "BAD_REQUEST", f"The parameter {name} is given twice.")
        if name in PARAMETERS:
            parameters[name] = text
    for name in ("variables", "extensions"):
        given = parameters.get(name)
        parameters[name] = _json(given, f"The parameter {name}") if given else None
        if _is_deeper(parameters[name], MAX_DEPTH):
            raise RequestError(400, "BAD_REQUEST", f"The parameter {name} may nest {MAX_DEPTH} levels deep at most.")
    return parameters


def _json(text: str | bytearray, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, "BAD_REQUEST", f"{what} is not valid JSON: {error.msg}.") from None


def _is_deeper(value: Any, limit: int) -> bool:
    """Whether lists and objects are nested deeper. What looks at variables later may then call itself."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        inner = (part for outer in level for part in (outer.values() if isinstance(outer, dict) else outer))
        level = [part for part in inner if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _operation(sent: Mapping[str, Any], caller: Caller, *, tells_cost: bool) -> GraphQLRequest:
    query, variables = sent.get("query"), sent.get("variables")
    name, extensions = sent.get("operationName"), sent.get("extensions")
    if not isinstance(extensions, dict | None):
        raise RequestError(400, "BAD_REQUEST", "The extensions must be an object.")
    sha256 = _named(sent.get("documentId"), (extensions or {}).get("persistedQuery"))
    if not isinstance(query, str | None) or not (query or sha256):
        raise RequestError(400, "BAD_REQUEST", "The request needs a query, as a text, or the hash of one.")
    if query and len(query) > MAX_QUERY:
        raise RequestError(413, "QUERY_TOO_LARGE", f"A query may hold {MAX_QUERY:,} characters at most.")
    if not isinstance(variables, dict | None):
        raise RequestError(400, "BAD_REQUEST", "The variables must be an object.")
    if not isinstance(name, str | None):
        raise RequestError(400, "BAD_REQUEST", "The operationName must be a text.")
    return GraphQLRequest(query or None, variables or {}, name or None, sha256, caller, tells_cost)


def _named(document_id: Any, persisted_query: Any) -> str | None:
    """What the document is called: by the draft of GraphQL over HTTP, by Apollo's protocol, or by both alike."""
    name = None if document_id is None or document_id == "" else _document_id(document_id)
    sha256 = None if persisted_query is None else _hash(persisted_query)
    if name and sha256 and name != sha256:
        raise RequestError(400, "BAD_REQUEST", "The documentId and the persistedQuery are of different documents.")
    return name or sha256


def _document_id(given: Any) -> str:
    """A hash in lower case, or an id that a list of trusted documents may know."""
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
