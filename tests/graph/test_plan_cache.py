"""The plan cache: plans are dropped when the database is another one, or has restarted."""

from typing import Any, cast

from cache.change_feed import ChangeFeed
from graph.compiler.plans import Plan
from graph.plan_cache import PlanCache


def test_plans_are_dropped_for_another_home_only() -> None:
    feed, plans = ChangeFeed(), PlanCache()
    feed.subscribe(plans)
    plan = cast(Plan, cast(Any, "a plan"))
    plans.plans.record_use("key")
    plans.plans.record_use("key")
    assert plans.plans.put("key", plan, 1)
    # Plans that are prepared before the first resync stay.
    for _ in range(2):
        feed.on_resync("home", "10:10:")
        feed.on_change(11, None, None)
        feed.on_disconnect()
        assert plans.plans.get("key") == plan
    feed.on_resync("restored", "10:10:")
    assert plans.plans.get("key") is None
