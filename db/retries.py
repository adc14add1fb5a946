"""Running a whole transaction again after a conflict with a concurrent one."""

import asyncio
from collections.abc import Awaitable, Callable
from random import uniform
from typing import TypeVar

from db.errors import Conflict

Result = TypeVar("Result")
# Pause before the first retry, doubled before each further one, so that concurrent transactions can finish.
SHORTEST_PAUSE_SECONDS = 0.01


async def retry_on_conflict(work: Callable[[], Awaitable[Result]], *, attempts: int = 4) -> Result:
    """The result of work, which must be a whole transaction: it is run again after each Conflict.

    attempts: the maximum number of runs. Raises the Conflict of the last run, and any other exception of work.
    """
    pause = SHORTEST_PAUSE_SECONDS
    for _ in range(attempts - 1):
        try:
            return await work()
        except Conflict:
            # Random, so that two transactions that conflicted do not retry at the same moment.
            await asyncio.sleep(pause * uniform(0.5, 1.5))  # noqa: S311
            pause *= 2
    return await work()
