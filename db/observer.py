"""Who is told how long statements wait and run, and how they end."""

from types import TracebackType
from typing import Protocol


class Observer(Protocol):
    """None of these may wait, or raise."""

    def waited(self, seconds: float, /) -> None:
        """A statement waited so long for its connection, or for none, as every one stayed busy."""

    def ran(self, seconds: float, /) -> None:
        """A statement was with PostgreSQL for so long, however it ended."""

    def ended(self, error: Exception | None, /) -> None:
        """A statement ended, by this error if it failed. One that is cancelled tells nothing."""


class NullObserver:
    def waited(self, seconds: float, /) -> None: ...

    def ran(self, seconds: float, /) -> None: ...

    def ended(self, error: Exception | None, /) -> None: ...


class StatementOutcome:
    """Of what is done within the block. No generator: it is on the way of every statement."""

    __slots__ = ("_observer",)

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def __enter__(self) -> None: ...

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if error is None or isinstance(error, Exception):
            self._observer.ended(error)
