"""The interface through which the database layer reports how long statements wait and run, and how they end."""

from types import TracebackType
from typing import Protocol


class Observer(Protocol):
    """Receives timings and outcomes of statements. No method may block or raise."""

    def on_wait(self, seconds: float, /) -> None:
        """A statement waited this long for a connection, including waits that ended without one."""

    def on_run(self, seconds: float, /) -> None:
        """A statement spent this long in PostgreSQL, whether it succeeded or not."""

    def on_end(self, error: Exception | None, /) -> None:
        """A statement ended; error is None if it succeeded. Not called for a cancelled statement."""


class NullObserver:
    """An observer that does nothing."""

    def on_wait(self, seconds: float, /) -> None: ...

    def on_run(self, seconds: float, /) -> None: ...

    def on_end(self, error: Exception | None, /) -> None: ...


class OutcomeReporter:
    """A context manager that calls on_end() for its block. A class, not a generator: every statement runs through it.

    A cancelled block is not reported.
    """

    __slots__ = ("_observer",)

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def __enter__(self) -> None: ...

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if error is None or isinstance(error, Exception):
            self._observer.on_end(error)
