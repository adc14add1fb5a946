"""Transactions that are run again, as a whole, where others wrote the same rows at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from random import uniform
from typing import TypeVar

from db.errors import Conflict

Result = TypeVar("Result")
# Before it is run again, and twice as long before each further time; others may run theirs meanwhile.
SHORTEST_PAUSE_SECONDS = 0.01


async def rerun(work: Callable[[], Awaitable[Result]], *, attempts: int = 4) -> Result:
    """What work returns, which must be a whole transaction: it is run once, and again after each Conflict.

    attempts: how often it is run at most. Raises the last Conflict, and whatever else work raises.
    """
    pause = SHORTEST_PAUSE_SECONDS
    for _ in range(attempts - 1):
        try:
            return await work()
        except Conflict:
            # Two that met come back at different times.
            await asyncio.sleep(pause * uniform(0.5, 1.5))  # noqa: S311
            pause *= 2
    return await work()
