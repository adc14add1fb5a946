"""What a run has found, and what of that must not be."""

import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from tests.soak.servers import POOL_SIZE, REDIS_CONNECTIONS

LEAST_HIT_RATE = 0.8
LEAST_FAULT_SHARE = 0.7
PROMPT_SECONDS = 0.05
# Of all answers, so many may come from a server that was too busy to hear of a change promptly.
MOST_LATE = 0.0005


class Answer(NamedTuple):
    """fault: which one was on. behind: for how many seconds it had been out of date when it was asked for."""

    source: str
    seconds: float
    fault: str
    behind: float


class Connections(NamedTuple):
    """Of the servers, to PostgreSQL and to Redis. busy: those within a statement or a transaction."""

    postgres: int = 0
    busy: int = 0
    redis: int = 0


NONE = Connections()


@dataclass
class Findings:
    """shown_after: in how many seconds each server showed a write. violations: when, and what was seen."""

    seconds: float
    servers: int
    began_at: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    shown_after: list[float] = field(default_factory=list)
    violations: list[tuple[float, str]] = field(default_factory=list)
    versions_checked: int = 0
    commits: int = 0
    rollbacks: int = 0
    fault_seconds: dict[str, float] = field(default_factory=dict)
    at_rest: Connections = NONE
    afterwards: Connections = NONE
    in_the_end: Connections = NONE
    # In how many seconds Redis was used again; None if it was not.
    redis_used_after: float | None = None
    stopped_after: float = 0.0

    def begin(self) -> None:
        """What came before was to warm up."""
        self.began_at = time.monotonic()
        self.answers.clear()

    def violate(self, what: str) -> None:
        self.violations.append((time.monotonic() - self.began_at, what))

    @cached_property
    def sources(self) -> Counter[str]:
        return Counter(answer.source for answer in self.answers)

    @property
    def hit_rate(self) -> float:
        """Where nothing could be kept (bypass), nothing was to be found."""
        hits = self.sources["hit-memory"] + self.sources["hit-redis"]
        return hits / max(1, hits + self.sources["miss"])

    @property
    def late(self) -> int:
        return sum(answer.behind > PROMPT_SECONDS for answer in self.answers)

    @property
    def fault_share(self) -> float:
        return sum(self.fault_seconds.values()) / self.seconds

    def failures(self) -> list[str]:
        """What is wrong on any machine, however busy."""
        found = [f"after {at:.1f} s, {what}" for at, what in self.violations]
        # Each has one more that listens and one that holds locks, and four more to Redis for commands that may wait.
        most = Connections(self.servers * (POOL_SIZE + 2), 0, self.servers * (REDIS_CONNECTIONS + 4))
        if any(there > allowed for there, allowed in zip(self.afterwards, most, strict=True)):
            found.append(f"connections are not given back: {self.afterwards}, at rest {self.at_rest}")
        if self.in_the_end != NONE:
            found.append(f"connections are left by servers that have ended: {self.in_the_end}")
        if self.redis_used_after is None:
            found.append("Redis is well again, and is not used")
        if not (self.answers and self.shown_after and self.sources["hit-redis"]):
            found.append("there was nothing to see")
        return found

    def shortfalls(self) -> list[str]:
        """What must not be on a machine that has time."""
        shown = percentile(self.shown_after, 0.99)
        checks = {
            f"the hit rate is {self.hit_rate:.1%}": self.hit_rate > LEAST_HIT_RATE,
            f"99% of the writes are shown within {shown * 1000:.0f} ms": shown < PROMPT_SECONDS,
            f"{self.late} answers were late": self.late <= MOST_LATE * len(self.answers),
            f"faults were on for {self.fault_share:.0%} of the time": self.fault_share > LEAST_FAULT_SHARE,
        }
        return [what for what, holds in checks.items() if not holds]


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
