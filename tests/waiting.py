"""Waiting in tests: for a condition with a deadline, instead of a fixed time or a number of turns."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")


async def eventually(
    condition: Callable[[], Result | Awaitable[Result]], seconds: float = 10, *, every: float = 0.01
) -> Result:
    """The first true result of a condition, which may be a coroutine function, or an AssertionError after the deadline.

    seconds: generous, as it only has to tell a failure from a busy machine. every: the pause between two attempts.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if isinstance(result, Awaitable):
            result = await result
        if result:
            return result
        assert time.monotonic() < deadline, f"the condition did not hold within {seconds} s"
        await asyncio.sleep(every)
