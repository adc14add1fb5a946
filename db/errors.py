"""What can go wrong between us and PostgreSQL.

DatabaseError
├── DatabaseUnavailable   nobody answers
│   └── Unconfirmed       nobody knows whether the transaction took place
├── Overloaded            every connection is busy for too long
├── StatementTimeout      the statement was cancelled: it ran, or waited for a lock, too long
├── Conflict              others wrote the same rows at the same time, see db/retries.py
└── Refused               the statement itself refused, see db/rejection.py
"""

import json
from typing import Any

import asyncpg
from sqlalchemy import exc
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi

REFUSED = "CG001"
OVERFLOW = "22003"
# U+0000, in a text and within JSON.
NOT_A_CHARACTER = {"22021", "22P05"}
TIMEOUTS = {"57014", "55P03", "25P03", "25P04"}
REFUSES_US = {"28000", "28P01", "3D000", "55000"}
# Serialization failure, deadlock.
CONFLICTS = {"40001", "40P01"}
GONE = {"57P01", "57P02", "57P03", "57P05", "53300"}


class DatabaseError(Exception):
    """The database could not answer."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached."""


class Unconfirmed(DatabaseUnavailable):
    """The connection was lost while a transaction was committed: it took place, or it did not."""


class Overloaded(DatabaseError):
    """Every connection to the database is busy."""


class Conflict(DatabaseError):
    """Others changed the same rows at the same time: try again."""


class StatementTimeout(DatabaseError):
    """The statement took too long and was cancelled."""


class Rejected(DatabaseError):
    """The statement refused what it was asked for; message and details are written for the client."""

    def __init__(self, code: str, message: str, details: dict[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


def translate(error: Exception) -> Exception:
    """The error of this module that says what happened, or the error itself where it is a fault of ours."""
    match error:
        case exc.TimeoutError():
            return Overloaded("Every connection to the database is busy: try again later.")
        case exc.DBAPIError():
            cause = error.orig.__cause__ if error.orig is not None else None
            return _translated(cause, lost=error.connection_invalidated) or error
        case AsyncAdapt_asyncpg_dbapi.Error() if isinstance(error.__cause__, Exception):
            # Where SQLAlchemy's pool opens a connection, nothing but this stands between the driver and us.
            return translate(error.__cause__)
        case asyncpg.PostgresError() | asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return _translated(error, lost=ends_connection(error) or _is_closed(error)) or error
        case TimeoutError():
            return StatementTimeout("The database did not answer in time.")
        case OSError():
            return DatabaseUnavailable("The database cannot be reached.")
    return error


def _is_closed(error: Exception) -> bool:
    # A ValueError tells what it was given, which may be anything.
    return isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError) and "closed" in str(error)


def ends_connection(error: Exception) -> bool:
    """Whether PostgreSQL or the driver gave the connection up, even if it is not closed yet."""
    return isinstance(error, asyncpg.InternalClientError) or getattr(error, "sqlstate", None) in GONE


def _translated(error: BaseException | None, *, lost: bool) -> DatabaseError | None:
    """What an error of the driver means. lost: whether the connection went with it."""
    state: str = getattr(error, "sqlstate", None) or ""
    if error is not None and state == REFUSED:
        details = json.loads(getattr(error, "detail", None) or "{}")
        return Rejected(details.pop("code"), str(error.args[0]), details)
    if state == OVERFLOW:
        return Rejected("NUMBER_TOO_LARGE", "A number in the answer is larger than a float can hold.", {})
    if state in NOT_A_CHARACTER:
        return Rejected("INVALID_TEXT", "A text may not hold the character U+0000.", {})
    if state in CONFLICTS:
        return Conflict("Others changed the same rows at the same time: try again.")
    if state in TIMEOUTS or isinstance(error, TimeoutError):
        return StatementTimeout("The statement took too long and was cancelled.")
    if state in REFUSES_US:
        return DatabaseUnavailable("The database refuses the connection: check DATABASE_URL.")
    if state in GONE or state.startswith("08") or lost:
        return DatabaseUnavailable("The connection to the database was lost.")
    return None
