"""The context of a request: the objects that resolvers and the pipeline use."""

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
    """Facts about the server that the health fields report."""

    version: str
    environment: str
    started_at: float
    name: str = "candlegraph"

    @property
    def uptime_seconds(self) -> float:
        return round(time.monotonic() - self.started_at, 3)


@dataclass(frozen=True)
class Context:
    """The objects that all requests share, and the caller of one request.

    viewer_id: the caller's user id, or the statement parameter that stands for it in a plan.
    """

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
        """The viewer whose private rows a query may read."""
        return Viewer(self.viewer_id, self.caller.sees_all)

    @property
    def reader(self) -> DatabaseReader:
        """The database, as the caller sees it."""
        return self.database.reader_for(viewer_setting(self.caller.user_id, sees_all=self.caller.sees_all))

    def of(self, caller: Caller) -> "Context":
        """The context of a request from this caller."""
        return replace(self, caller=caller, viewer_id=caller.user_id)

    def for_plan(self, caller: Caller, viewer_id: Any) -> "Context":
        """The context of a plan, which callers with the same access share. viewer_id: a statement parameter."""
        return replace(self, caller=caller, viewer_id=viewer_id)


Info = strawberry.Info[Context, Any]
