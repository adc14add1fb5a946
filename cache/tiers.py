"""Cache tiers: for how long an answer may be served unless a change makes it stale."""

import random
from enum import Enum

# Lifetimes are shortened by up to this share at random, so that what was stored together does not expire together.
JITTER = 0.1


class Tier(Enum):
    """Lifetimes in seconds: of market data, of data derived from it, and of data that hardly ever changes."""

    SHORT = 300
    MEDIUM = 1_800
    LONG = 3_600

    # The hash of the object's identity: that of Enum is a Python function, which costs 60 ns at each hit.
    __hash__ = object.__hash__

    @property
    def seconds(self) -> int:
        seconds: int = self.value
        return seconds

    @classmethod
    def of(cls, seconds: float) -> "Tier":
        """The shortest tier that allows this many seconds."""
        return next((tier for tier in cls if seconds <= tier.seconds), cls.LONG)


def jittered(seconds: float) -> float:
    return seconds * (1 - JITTER * random.random())  # noqa: S311 - not a secret
