"""Waiting for conditions in tests."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any


async def eventually(condition: Callable[[], Any], seconds: float = 10, every: float = 0.01) -> None:
    """Wait until the condition, a function or a coroutine function, returns a true value. Fails after this time."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        await asyncio.sleep(every)


def eventually_sync(condition: Callable[[], Any], seconds: float = 10, every: float = 0.01) -> None:
    """Wait until the condition returns a true value. Fails after this time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(every)
