"""Errors as clients see them: a message that may be shown, and a stable extensions.code.

GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED, OPERATION_RESOLUTION_FAILURE   the document
PERSISTED_QUERY_NOT_FOUND, PERSISTED_QUERY_NOT_SUPPORTED, PERSISTED_QUERY_MISMATCH, DOCUMENT_NOT_TRUSTED
                                                  the hash of the document, or the list of trusted documents
QUERY_TOO_LARGE, QUERY_TOO_EXPENSIVE              the operation: its size, its cost
BAD_USER_INPUT                                    a variable that does not fit its type
INVALID_TIME, INVALID_DECIMAL, INVALID_TEXT, INVALID_RANGE, INVALID_PAGE_SIZE, INVALID_CURSOR, INVALID_ID,
INVALID_LIMIT, TOO_MANY_IDS                       an argument
INTERVAL_TOO_SHORT, TOO_MANY_CANDLES              an argument, for the rows that it selects
NUMBER_TOO_LARGE                                  a value that a float cannot hold
UNAUTHENTICATED, FORBIDDEN                        the caller
STATEMENT_TIMEOUT, DATABASE_UNAVAILABLE           the database
OVERLOADED, CONFLICT                              load, or a concurrent write: the client may try again
INTERNAL_SERVER_ERROR                             a bug: masked, and logged under the id that the client gets

The HTTP layer adds errors of the request: BAD_REQUEST, CSRF_REFUSED, METHOD_NOT_ALLOWED, NOT_ACCEPTABLE,
PAYLOAD_TOO_LARGE, RATE_LIMITED, UNSUPPORTED_MEDIA_TYPE, URI_TOO_LONG. Validation errors of mutations are data
(graph/types/user_errors.py), with codes of their own.
"""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from graphql import GraphQLError, GraphQLSyntaxError

from db.errors import Conflict, DatabaseUnavailable, Overloaded, Rejected, StatementTimeout
from graph.compiler.statement import TooLarge
from graph.request_id import current_request_id

SELECTS_TOO_MUCH = "The operation selects too much: split it into several."
MAX_ERRORS = 10
MAX_MESSAGE = 1_000
log = structlog.get_logger("candlegraph.graph")


class Forbidden(Exception):
    """The caller may not do this. code: UNAUTHENTICATED for an anonymous caller, else FORBIDDEN."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.extensions = {"code": code}


class InputError(Exception):
    """An invalid argument. argument is its path: ["filter", "timestamp", "from"]."""

    def __init__(self, code: str, message: str, argument: Sequence[str] = (), **extensions: Any) -> None:
        super().__init__(message)
        # graphql-core copies this attribute into the error that it makes of this one.
        self.extensions: dict[str, Any] = {"code": code, **extensions}
        if argument:
            self.extensions["argument"] = list(argument)


def present(errors: Sequence[GraphQLError], *, request_code: str = "BAD_USER_INPUT") -> list[dict[str, Any]]:
    """The errors as they are sent. request_code: of errors of the request itself, which have no cause."""
    return [_present(error, request_code) for error in errors[:MAX_ERRORS]]


def _present(error: GraphQLError, request_code: str) -> dict[str, Any]:
    match list(_causes(error)):
        case [*_, (InputError() | Forbidden()) as cause]:
            return _formatted(error, error.message, {**cause.extensions, **(error.extensions or {})})
        case [*_, Rejected() as cause]:
            details = {key: value for key, value in cause.details.items() if key != "path"}
            shown = _formatted(error, str(cause), {"code": cause.code, **details})
            return {**shown, "path": cause.details.get("path", error.path)}
        case [*_, StatementTimeout() as cause]:
            return _formatted(error, str(cause), {"code": "STATEMENT_TIMEOUT"})
        case [*_, DatabaseUnavailable() as cause]:
            return _formatted(error, str(cause), {"code": "DATABASE_UNAVAILABLE"})
        case [*_, Overloaded() as cause]:
            return _formatted(error, str(cause), {"code": "OVERLOADED"})
        case [*_, Conflict() as cause]:
            return _formatted(error, str(cause), {"code": "CONFLICT"})
        case [*_, TooLarge() | RecursionError()]:
            return _formatted(error, SELECTS_TOO_MUCH, {"code": "QUERY_TOO_LARGE"})
        case [*_, ValueError()] if error.path is None:
            # A literal: Python parses no integer of more than 4,300 digits.
            extensions = {"code": request_code, **(error.extensions or {})}
            return _formatted(error, "This number has too many digits.", extensions)
        case []:
            code = "GRAPHQL_PARSE_FAILED" if isinstance(error, GraphQLSyntaxError) else request_code
            return _formatted(error, error.message, {"code": code, **(error.extensions or {})})
    return _masked(error)


def _causes(error: GraphQLError) -> Iterator[Exception]:
    cause = error.original_error
    while cause is not None:
        if not isinstance(cause, GraphQLError):
            yield cause
        cause = getattr(cause, "original_error", None)


def _formatted(error: GraphQLError, message: str, extensions: dict[str, Any]) -> dict[str, Any]:
    request_id = current_request_id()
    if request_id is not None:
        extensions = {**extensions, "requestId": request_id}
    # Messages of graphql-core quote the input, which may be long.
    return {**error.formatted, "message": message[:MAX_MESSAGE], "extensions": extensions}


def _masked(error: GraphQLError) -> dict[str, Any]:
    error_id = uuid.uuid4().hex[:12]
    log.error("unexpected_error", error_id=error_id, path=error.path, exc_info=error.original_error)
    message = f"Something went wrong on our side. Its id in the log is {error_id}."
    return _formatted(error, message, {"code": "INTERNAL_SERVER_ERROR", "id": error_id})
