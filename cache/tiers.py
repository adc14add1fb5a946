"""How long an answer may be served, as far as time alone is concerned; a change ends it at once."""

import random
from enum import Enum

# Lifetimes are shortened by up to this share at random, so that what was stored together does not expire together.
JITTER = 0.1


class Tier(Enum):
    """Seconds: of what moves with the market, of what follows from it, and of what hardly ever changes."""

    SHORT = 300
    MEDIUM = 1_800
    LONG = 3_600

    @property
    def seconds(self) -> int:
        seconds: int = self.value
        return seconds

    @classmethod
    def of(cls, seconds: float) -> "Tier":
        """The strictest tier that allows so many seconds."""
        return next((tier for tier in cls if seconds <= tier.seconds), cls.LONG)


def jittered(seconds: float) -> float:
    return seconds * (1 - JITTER * random.random())  # noqa: S311 - nobody gains by guessing it
