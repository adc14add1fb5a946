"""The findings of a run, and which of them are failures."""

import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from tests.soak.servers import POOL_SIZE, REDIS_CONNECTIONS

LEAST_HIT_RATE = 0.8
LEAST_FAULT_SHARE = 0.7
PROMPT_SECONDS = 0.05
# Share of answers that may come from a server that was too busy to receive a change promptly.
MOST_LATE = 0.0005


class Answer(NamedTuple):
    """fault: the one that was on. behind: for how many seconds the answer had been stale when it was requested."""

    source: str
    seconds: float
    fault: str
    behind: float


class Connections(NamedTuple):
    """Connections of the servers to PostgreSQL and to Redis. busy: those within a statement or a transaction."""

    postgres: int = 0
    busy: int = 0
    redis: int = 0


NONE = Connections()


@dataclass
class Findings:
    """shown_after: seconds until each server showed a write. violations: when, and a description."""

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
    # Seconds until Redis was used again; None if it was not.
    redis_used_after: float | None = None
    stopped_after: float = 0.0

    def begin(self) -> None:
        """Forget the answers of the warm-up."""
        self.began_at = time.monotonic()
        self.answers.clear()

    def violate(self, what: str) -> None:
        self.violations.append((time.monotonic() - self.began_at, what))

    @cached_property
    def sources(self) -> Counter[str]:
        return Counter(answer.source for answer in self.answers)

    @property
    def hit_rate(self) -> float:
        """Of the answers that could be stored: those with bypass do not count."""
        hits = self.sources["hit-memory"] + self.sources["hit-redis"]
        return hits / max(1, hits + self.sources["miss"])

    @property
    def late(self) -> int:
        return sum(answer.behind > PROMPT_SECONDS for answer in self.answers)

    @property
    def fault_share(self) -> float:
        return sum(self.fault_seconds.values()) / self.seconds

    def failures(self) -> list[str]:
        """Failures on any machine, however busy."""
        found = [f"after {at:.1f} s, {what}" for at, what in self.violations]
        # Each has two more connections, one that listens and one that holds locks; and four more to Redis.
        most = Connections(self.servers * (POOL_SIZE + 2), 0, self.servers * (REDIS_CONNECTIONS + 4))
        if any(there > allowed for there, allowed in zip(self.afterwards, most, strict=True)):
            found.append(f"connections are not released: {self.afterwards}, at rest {self.at_rest}")
        if self.in_the_end != NONE:
            found.append(f"connections of stopped servers are left: {self.in_the_end}")
        if self.redis_used_after is None:
            found.append("Redis works again, and is not used")
        if not (self.answers and self.shown_after and self.sources["hit-redis"]):
            found.append("there were no answers, no writes, or no hits in Redis")
        return found

    def shortfalls(self) -> list[str]:
        """Failures on a machine that is not busy."""
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
