"""The GraphQL endpoint: a request in JSON, an answer in bytes.

Request errors (a body that cannot be read, a document that cannot be parsed or validated) have no data and a status of
400 and above; field errors come beside the data, with 200.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from graph.context import Context
from graph.errors import present
from graph.schema import Schema

MAX_BODY = 4 * 2**20
MAX_QUERY = 100_000
GRAPHQL_JSON = "application/graphql-response+json"


class RequestError(Exception):
    """The request cannot be executed."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


@dataclass(frozen=True)
class Operation:
    query: str
    variables: dict[str, Any] | None
    name: str | None


class GraphQLEndpoint:
    """Serves operations by POST, queries by GET, and GraphiQL to browsers."""

    def __init__(self, schema: Schema, context: Context, graphiql: str) -> None:
        self._schema = schema
        self._context = context
        self._graphiql = graphiql

    async def respond(self, request: Request) -> Response:
        if request.method != "POST" and _wants_page(request):
            return HTMLResponse(self._graphiql)
        try:
            operation = await _read(request)
            return _respond(request, await self._execute(operation, request.method))
        except RequestError as error:
            body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}]}
            return Response(orjson.dumps(body), error.status, error.headers, _media_type(request))

    async def _execute(self, operation: Operation, method: str) -> ExecutionResult:
        try:
            return await self._schema.execute(
                operation.query,
                variable_values=operation.variables,
                context_value=self._context,
                operation_name=operation.name,
                allowed_operation_types=OperationType.from_http("POST" if method == "POST" else "GET"),
            )
        except InvalidOperationTypeError:
            headers = {"Allow": "POST"}
            raise RequestError(405, "METHOD_NOT_ALLOWED", "Only queries may be sent by GET.", headers) from None
        except CannotGetOperationTypeError as error:
            raise RequestError(400, "OPERATION_RESOLUTION_FAILURE", error.as_http_error_reason()) from None
        except MissingQueryError:
            raise RequestError(400, "BAD_REQUEST", "The query is empty.") from None


async def _read(request: Request) -> Operation:
    if request.method != "POST":
        return _operation({**request.query_params, "variables": _json_parameter(request, "variables")})
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", "Send the request as application/json.")
    try:
        body = orjson.loads(await _body(request))
    except orjson.JSONDecodeError:
        raise RequestError(400, "BAD_REQUEST", "The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise RequestError(400, "BAD_REQUEST", "The body must be one JSON object with a query.")
    return _operation(body)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise RequestError(413, "PAYLOAD_TOO_LARGE", f"The body may hold {MAX_BODY:,} bytes at most.")
    except ClientDisconnect:
        raise RequestError(400, "BAD_REQUEST", "The body ended early.") from None
    return bytes(body)


def _json_parameter(request: Request, name: str) -> Any:
    text = request.query_params.get(name)
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        raise RequestError(400, "BAD_REQUEST", f"The parameter {name} is not valid JSON.") from None


def _operation(body: Mapping[str, Any]) -> Operation:
    query, variables, name = body.get("query"), body.get("variables"), body.get("operationName")
    if not isinstance(query, str):
        raise RequestError(400, "BAD_REQUEST", "The request needs a query, as a text.")
    if len(query) > MAX_QUERY:
        raise RequestError(413, "QUERY_TOO_LARGE", f"A query may hold {MAX_QUERY:,} characters at most.")
    if not isinstance(variables, dict | None):
        raise RequestError(400, "BAD_REQUEST", "The variables must be an object.")
    if not isinstance(name, str | None):
        raise RequestError(400, "BAD_REQUEST", "The operationName must be a text.")
    if not isinstance(body.get("extensions"), dict | str | None):
        raise RequestError(400, "BAD_REQUEST", "The extensions must be an object.")
    return Operation(query, variables, name or None)


def _respond(request: Request, result: ExecutionResult) -> Response:
    is_refused = isinstance(result, PreExecutionError)
    code = "GRAPHQL_VALIDATION_FAILED" if is_refused else "BAD_USER_INPUT"
    answer: dict[str, Any] = {}
    if result.errors:
        answer["errors"] = present(result.errors, request_code=code)
    is_request_error = is_refused or (result.data is None and not _reached_a_field(result.errors or []))
    if not is_request_error:
        answer["data"] = result.data
    return Response(orjson.dumps(answer), 400 if is_request_error else 200, media_type=_media_type(request))


def _reached_a_field(errors: list[GraphQLError]) -> bool:
    return any(error.path for error in errors)


def _wants_page(request: Request) -> bool:
    return "query" not in request.query_params and "text/html" in request.headers.get("accept", "")


def _media_type(request: Request) -> str:
    return GRAPHQL_JSON if GRAPHQL_JSON in request.headers.get("accept", "") else "application/json"
