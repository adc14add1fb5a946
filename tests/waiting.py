"""Waiting in tests: for a condition with a deadline, instead of a fixed time or a number of turns of the event loop."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")


async def eventually(
    condition: Callable[[], Result | Awaitable[Result]], seconds: float = 10, every: float = 0.01
) -> Result:
    """The first true result of a condition, which may be a coroutine function; an AssertionError after the deadline.

    seconds: generous, because it only distinguishes a failure from a busy machine. every: pause between two attempts.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if isinstance(result, Awaitable):
            result = await result
        if result:
            return result
        assert time.monotonic() < deadline, f"The condition was not true within {seconds:g} s."
        await asyncio.sleep(every)


def eventually_sync(condition: Callable[[], Result], seconds: float = 10, every: float = 0.01) -> Result:
    """The first true result of a condition; an AssertionError after the deadline."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"The condition was not true within {seconds:g} s."
        time.sleep(every)
    return result
