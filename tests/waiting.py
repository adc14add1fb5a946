"""Waiting in tests: for a condition, with a deadline, instead of for a fixed time."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable

DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.001


async def wait_until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until the condition, which may be a coroutine function, is true. Raises TimeoutError after the deadline."""
    async with asyncio.timeout(seconds):
        while not await _result(condition()):  # noqa: ASYNC110 - a condition has no event
            await asyncio.sleep(POLL_SECONDS)


async def _result(value: bool | Awaitable[bool]) -> bool:
    return await value if isawaitable(value) else value
