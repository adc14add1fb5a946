"""Until when somebody waits for what is asked of the database: one deadline for all statements of a request."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from math import inf

from db.errors import StatementTimeout

# PostgreSQL ends a statement by itself when its time is over, and better than we can: we come so much later.
HEAD_START_SECONDS = 0.2
_ends_at: ContextVar[float] = ContextVar("ends_at", default=inf)


def set_deadline(ends_at: float) -> Token[float]:
    """What is asked from now on has until then, as time.perf_counter() tells, whatever it waits for."""
    return _ends_at.set(ends_at)


def drop_deadline(token: Token[float]) -> None:
    """As it was before it was set."""
    _ends_at.reset(token)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """What is asked within the block has so many seconds."""
    token = set_deadline(time.perf_counter() + seconds)
    try:
        yield
    finally:
        drop_deadline(token)


def time_left() -> float | None:
    """The seconds until the end of the time; None where it has none."""
    ends_at = _ends_at.get()
    return None if ends_at == inf else ends_at - time.perf_counter()


def seconds_left(most: float) -> float:
    """How long it may take from now on, and no longer than most. Raises StatementTimeout where nothing is left."""
    left = min(most, _ends_at.get() - time.perf_counter())
    if left <= 0:
        raise StatementTimeout("The time for this request is over.")
    return left
