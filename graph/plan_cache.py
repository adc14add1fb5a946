"""What is remembered of operations: documents as they were read, and the plans that were made of them."""

from cache.change_feed import FeedSubscriber
from cache.memory import MemoryCache
from graph.compiler.deferred import Specializations
from graph.compiler.plans import Plan
from graph.documents import Operation

MAX_DOCUMENTS = 256
MAX_DOCUMENT_BYTES = 64 * 2**20
MAX_PLANS = 512
MAX_PLAN_BYTES = 32 * 2**20


class PlanCache(FeedSubscriber):
    """Both caches, and how many queries were answered without a plan though nothing was wrong with them."""

    def __init__(self, *, trusted: int = 0) -> None:
        """trusted: operations for which there must be room beside all others."""
        self.operations = MemoryCache[Operation](max_entries=MAX_DOCUMENTS + trusted, max_bytes=MAX_DOCUMENT_BYTES)
        # Where the shape of the variables does not decide, what does; and by that, the plan.
        self.plans = MemoryCache[Plan | Specializations](max_entries=MAX_PLANS + trusted, max_bytes=MAX_PLAN_BYTES)
        self.fallbacks = 0

    def on_new_home(self) -> None:
        self.plans.clear()
