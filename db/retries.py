from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def rerun(work: Callable[[], Awaitable[T]], *, attempts: int = 3) -> T:
    return await work()
