"""A circuit breaker: after a few failures of Redis, no call waits for it until it has been probed successfully."""

import math
import random
import time
from collections.abc import Callable
from typing import Literal, get_args

State = Literal["closed", "open", "half-open"]
STATES: tuple[State, ...] = get_args(State)

# It opens after this many failures in a row, or among the last calls.
FAILURES_IN_A_ROW = 5
LAST_CALLS = 20
FAILURES_AMONG_LAST = 10

SHORTEST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
# A breaker that opens again sooner than this is flapping, and its waits keep growing.
CALM_SECONDS = 30.0


class Breaker:
    """closed: calls are let through. open: none is. half-open: one probe was quick; a second one closes it.

    It neither calls Redis nor starts tasks: it receives the results of calls and probes, and says when to probe.
    """

    def __init__(
        self,
        *,
        slow_seconds: float = 0.025,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.state: State = "closed"
        self.times_opened = 0
        self._slow_seconds = slow_seconds
        self._clock = clock
        self._chance = chance
        # One bit a call, the newest lowest: 1 if it failed.
        self._failures = 0
        self._wait = SHORTEST_WAIT_SECONDS
        self._closed_at = -math.inf

    def record_call(self, seconds: float | None) -> bool:
        """Count a call that took this long; None if it failed. Returns whether the breaker opens because of it."""
        # Calls that were running when it opened carry no new information.
        if self.state != "closed":
            return False
        self._failures = (self._failures << 1 | (not self._is_quick(seconds))) & ((1 << LAST_CALLS) - 1)
        in_a_row = (1 << FAILURES_IN_A_ROW) - 1
        if self._failures & in_a_row != in_a_row and self._failures.bit_count() < FAILURES_AMONG_LAST:
            return False
        self._open()
        return True

    def record_probe(self, seconds: float | None) -> None:
        """Count a probe of Redis that took this long; None if it failed."""
        if not self._is_quick(seconds):
            self.state = "open"
            self._wait_longer()
        elif self.state == "open":
            self.state = "half-open"
        else:
            self.state = "closed"
            self._closed_at = self._clock()

    def wait(self) -> float:
        """Seconds until the next probe: half of the wait or more at random, so that processes do not probe together."""
        wait = SHORTEST_WAIT_SECONDS if self.state == "half-open" else self._wait
        return wait * (0.5 + self._chance() / 2)

    def _open(self) -> None:
        self.state = "open"
        self.times_opened += 1
        self._failures = 0
        if self._clock() - self._closed_at < CALM_SECONDS:
            self._wait_longer()
        else:
            self._wait = SHORTEST_WAIT_SECONDS

    def _wait_longer(self) -> None:
        self._wait = min(2 * self._wait, LONGEST_WAIT_SECONDS)

    def _is_quick(self, seconds: float | None) -> bool:
        return seconds is not None and seconds <= self._slow_seconds
