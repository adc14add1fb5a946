"""What a request carries."""

import time
from dataclasses import dataclass, field
from typing import Any

import strawberry

from cache.answers import AnswerCache
from db.engine import Database
from graph.plans import Plans


@dataclass(frozen=True)
class Service:
    """What the server says of itself."""

    version: str
    environment: str
    started_at: float
    name: str = "candlegraph"

    @property
    def uptime_seconds(self) -> float:
        return round(time.monotonic() - self.started_at, 3)


@dataclass(frozen=True)
class Context:
    database: Database
    cache: AnswerCache
    service: Service
    plans: Plans = field(default_factory=Plans)


Info = strawberry.Info[Context, Any]
