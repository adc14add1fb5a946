import time
from typing import Any, NamedTuple


class Rate(NamedTuple):
    capacity: float
    per_second: float


class Level(NamedTuple):
    allowed: bool
    remaining: float
    capacity: float
    retry_after: float | None
    full_in: float


class Buckets:
    def __init__(self, shared: Any = None) -> None:
        self._levels: dict[str, tuple[float, float]] = {}

    async def take(self, key: str, points: float, rate: Rate) -> Level:
        now = time.time()
        level, at = self._levels.get(key, (rate.capacity, now))
        level = min(rate.capacity, level + (now - at) * rate.per_second)
        ok = level >= points
        self._levels[key] = (level - points if ok else level, now)
        return Level(ok, level, rate.capacity, None if ok else (points - level) / rate.per_second, 0)

    def give_back(self, key: str, points: float, rate: Rate) -> None:
        level, at = self._levels.get(key, (rate.capacity, time.time()))
        self._levels[key] = (min(rate.capacity, level + points), at)
