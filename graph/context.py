"""What a request carries."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import strawberry

from cache.answers import AnswerCache
from cache.change_feed import ChangeFeed
from db.engine import Database, DatabaseReader
from db.queries.viewers import Viewer
from db.row_security import viewer_setting
from graph.identity.accounts import Accounts
from graph.identity.callers import ANONYMOUS, Caller
from graph.metering import Meter
from graph.plan_cache import PlanCache


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
    """What all requests share, and who sends this one. viewer_id: a parameter, where the answer is for whoever asks."""

    database: Database
    feed: ChangeFeed
    cache: AnswerCache
    service: Service
    accounts: Accounts
    meter: Meter
    plans: PlanCache = field(default_factory=PlanCache)
    caller: Caller = ANONYMOUS
    viewer_id: Any = None

    @property
    def viewer(self) -> Viewer:
        """Whose private rows may be seen."""
        return Viewer(self.viewer_id, self.caller.sees_all)

    @property
    def reader(self) -> DatabaseReader:
        """The database, as the caller sees it."""
        return self.database.reader_for(viewer_setting(self.caller.user_id, sees_all=self.caller.sees_all))

    def of(self, caller: Caller) -> "Context":
        return replace(self, caller=caller, viewer_id=caller.user_id)

    def of_anyone_like(self, caller: Caller, viewer_id: Any) -> "Context":
        """Of a plan, which answers all who see as much."""
        return replace(self, caller=caller, viewer_id=viewer_id)


Info = strawberry.Info[Context, Any]
