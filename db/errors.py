"""Errors of the database layer, and their translation from those of SQLAlchemy and asyncpg.

DatabaseError
├── DatabaseUnavailable     the server cannot be reached, or the connection was lost
│   └── CommitUnconfirmed   the connection was lost during COMMIT: the outcome is unknown
├── Overloaded              no connection became free in time
├── StatementTimeout        the statement was cancelled: it ran, or waited for a lock, too long
├── Conflict                a concurrent transaction wrote the same rows, see db/retries.py
└── Rejected                the statement rejected its input, see db/rejection.py
"""

import json
from typing import Any

import asyncpg
from sqlalchemy import exc
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi

# SQLSTATEs. CG001 is our own, raised by the SQL function candlegraph_refuse().
REJECTED = "CG001"
OVERFLOW = "22003"
# U+0000, in text and in JSON.
INVALID_CHARACTER = {"22021", "22P05"}
TIMEOUTS = {"57014", "55P03", "25P03", "25P04"}
# Wrong role, wrong password, unknown database, database not accepting connections.
CONNECTION_REJECTED = {"28000", "28P01", "3D000", "55000"}
# Serialization failure, deadlock.
CONFLICTS = {"40001", "40P01"}
# Server shutdown, crash or start-up, idle session timeout, too many connections.
CONNECTION_LOST = {"57P01", "57P02", "57P03", "57P05", "53300"}


class DatabaseError(Exception):
    """Base class of the errors of this module: the database did not answer."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached."""


class CommitUnconfirmed(DatabaseUnavailable):
    """The connection was lost during COMMIT: the transaction may or may not have been committed."""


class Overloaded(DatabaseError):
    """Every connection to the database stayed busy."""


class Conflict(DatabaseError):
    """A concurrent transaction changed the same rows; running this one again can succeed."""


class StatementTimeout(DatabaseError):
    """The statement took too long and was cancelled."""


class Rejected(DatabaseError):
    """The statement rejected its input. The message, code and details are for the client."""

    def __init__(self, code: str, message: str, details: dict[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


def translate(error: Exception) -> Exception:
    """The matching error of this module, or the given error if it is a bug of ours."""
    match error:
        case exc.TimeoutError():
            return Overloaded("Every connection to the database is busy: try again later.")
        case exc.DBAPIError():
            cause = error.orig.__cause__ if error.orig is not None else None
            return _translate_driver_error(cause, lost=error.connection_invalidated) or error
        case AsyncAdapt_asyncpg_dbapi.Error() if isinstance(error.__cause__, Exception):
            # SQLAlchemy does not wrap these in a DBAPIError when its pool opens a connection.
            return translate(error.__cause__)
        case asyncpg.PostgresError() | asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return _translate_driver_error(error, lost=ends_connection(error) or _is_closed(error)) or error
        case TimeoutError():
            return StatementTimeout("The database did not answer in time.")
        case OSError():
            return DatabaseUnavailable("The database cannot be reached.")
    return error


def _is_closed(error: Exception) -> bool:
    # The message of a ValueError quotes its argument, which could contain any text.
    return isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError) and "closed" in str(error)


def ends_connection(error: Exception) -> bool:
    """Whether the error means that the connection is unusable, even if it is not closed yet."""
    return isinstance(error, asyncpg.InternalClientError) or getattr(error, "sqlstate", None) in CONNECTION_LOST


def _translate_driver_error(error: BaseException | None, *, lost: bool) -> DatabaseError | None:
    """The error for a driver error, None if it is a bug of ours. lost: whether the connection was lost with it."""
    state: str = getattr(error, "sqlstate", None) or ""
    if error is not None and state == REJECTED:
        details = json.loads(getattr(error, "detail", None) or "{}")
        return Rejected(details.pop("code"), str(error.args[0]), details)
    if state == OVERFLOW:
        return Rejected("NUMBER_TOO_LARGE", "A number in the answer is larger than a float can hold.", {})
    if state in INVALID_CHARACTER:
        return Rejected("INVALID_TEXT", "Text must not contain the character U+0000.", {})
    if state in CONFLICTS:
        return Conflict("Another request changed the same rows at the same time: try again.")
    if state in TIMEOUTS or isinstance(error, TimeoutError):
        return StatementTimeout("The statement took too long and was cancelled.")
    if state in CONNECTION_REJECTED:
        return DatabaseUnavailable("The database rejects the connection: check DATABASE_URL.")
    if state in CONNECTION_LOST or state.startswith("08") or lost:
        return DatabaseUnavailable("The connection to the database was lost.")
    return None
