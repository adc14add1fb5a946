"""Who is told how long statements wait and run, and how they end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Observer(Protocol):
    """None of these may wait, or raise."""

    def waited(self, seconds: float, /) -> None:
        """A statement waited so long for its connection, or for none, as every one stayed busy."""

    def ran(self, seconds: float, /) -> None:
        """A statement was with PostgreSQL for so long, however it ended."""

    def ended(self, error: Exception | None, /) -> None:
        """A statement ended, by this error if it failed. One that is cancelled tells nothing."""


class Nobody:
    def waited(self, seconds: float, /) -> None: ...

    def ran(self, seconds: float, /) -> None: ...

    def ended(self, error: Exception | None, /) -> None: ...


@contextmanager
def ends_told_to(observer: Observer) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        observer.ended(error)
        raise
    observer.ended(None)
