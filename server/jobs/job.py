"""A background job, and the state of its runs in this process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Job:
    """Work that is repeated.

    name: a label of metrics, and part of the lock's key. every: seconds from the end of a run to the next.
    run: raises an error if it fails; may return a short text for /health/detailed. exclusive: whether it runs in one
    process of all servers that use the database.
    """

    name: str
    every: float
    run: Callable[[], Awaitable[str | None]]
    exclusive: bool = False


@dataclass
class JobStatus:
    """Runs of a job in this process. failures: all of them, and those since the last success.

    message: the result of the last run, or the type of its error.
    """

    last_success_at: datetime | None = None
    last_duration_seconds: float | None = None
    failures: int = 0
    consecutive_failures: int = 0
    message: str | None = None
