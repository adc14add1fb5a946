"""The deadline of a request, in a context variable: it applies to all statements that the request runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from math import inf

from db.errors import StatementTimeout

# PostgreSQL enforces the timeout of a statement itself, which is cleaner than cancelling it from here. Our own timeout
# is this much longer.
GRACE_SECONDS = 0.2
_ends_at: ContextVar[float] = ContextVar("ends_at", default=inf)


def set_deadline(ends_at: float) -> Token[float]:
    """Set the deadline for all statements from now on, waiting included. ends_at: on the clock time.perf_counter()."""
    return _ends_at.set(ends_at)


def reset_deadline(token: Token[float]) -> None:
    """Restore the deadline that was in effect before set_deadline() returned this token."""
    _ends_at.reset(token)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Give the statements of the block this many seconds in total."""
    token = set_deadline(time.perf_counter() + seconds)
    try:
        yield
    finally:
        reset_deadline(token)


def remaining_seconds() -> float | None:
    """Seconds until the deadline; None if no deadline is set."""
    ends_at = _ends_at.get()
    return None if ends_at == inf else ends_at - time.perf_counter()


def limited_timeout(limit: float) -> float:
    """Seconds until the deadline, but at most limit. Raises StatementTimeout if the deadline has passed."""
    left = min(limit, _ends_at.get() - time.perf_counter())
    if left <= 0:
        raise StatementTimeout("The deadline of this request has passed.")
    return left
