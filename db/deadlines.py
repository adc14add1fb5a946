"""Until when somebody waits for what is asked of the database: one deadline for all statements of a request."""

import time
from contextvars import ContextVar, Token
from math import inf
from types import TracebackType

from db.errors import StatementTimeout

# PostgreSQL ends a statement by itself when its time is over, and better than we can: we come so much later.
HEAD_START_SECONDS = 0.2
_ends_at: ContextVar[float] = ContextVar("ends_at", default=inf)


class Deadline:
    """What is asked within the block has so many seconds, whatever it waits for."""

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._token: Token[float] | None = None

    def __enter__(self) -> None:
        self._token = _ends_at.set(time.monotonic() + self._seconds)

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        assert self._token is not None
        _ends_at.reset(self._token)


def time_left() -> float | None:
    """The seconds until the end of the time; None where it has none."""
    ends_at = _ends_at.get()
    return None if ends_at == inf else ends_at - time.monotonic()


def seconds_left(most: float) -> float:
    """How long it may take from now on, and no longer than most. Raises StatementTimeout where nothing is left."""
    left = min(most, _ends_at.get() - time.monotonic())
    if left <= 0:
        raise StatementTimeout("The time for this request is over.")
    return left
