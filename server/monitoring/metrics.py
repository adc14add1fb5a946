"""Counters and timers for Prometheus. server/monitoring/scrape.py reads figures that are stored elsewhere.

Each application has metrics of its own, and so has each process of a server with several workers.
"""

import re
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cache.answers import Source
from db.errors import CommitUnconfirmed, DatabaseUnavailable, Overloaded, Rejected, StatementTimeout
from graph.context import Context
from server.monitoring.scrape import Scraper

# Clients choose the names of operations: so many get series of their own, in the order in which they come.
MAX_OPERATIONS = 100
OPERATION = re.compile(r"[_A-Za-z]\w{0,63}", re.ASCII)
UNNAMED, OTHER = "-", "other"

REQUEST_BUCKETS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STATEMENT_BUCKETS = REQUEST_BUCKETS[1:]
WAIT_BUCKETS = (1e-5, *REQUEST_BUCKETS[:-1])

Outcome: TypeAlias = Literal["ok", "partial", "refused", "limited", "rejected", "shed"]
STATEMENT_OUTCOMES = {
    type(None): "ok",
    Rejected: "refused",
    StatementTimeout: "timeout",
    DatabaseUnavailable: "unavailable",
    CommitUnconfirmed: "unavailable",
    Overloaded: "overloaded",
}
# When a series began, as a series of its own: twice the text, and nothing reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class RequestMetrics:
    """Requests to the endpoint. On the way of every one of them: what can be bound beforehand is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "candlegraph_requests",
            "GraphQL requests. operation: the operationName that was sent, - for none, other for all beyond the first"
            f" {MAX_OPERATIONS}. outcome: ok; partial, with errors of fields; refused, an operation that cannot be run;"
            " limited, one that may not spend more (HTTP 429); rejected, a request that is none (HTTP 4xx); shed, one"
            " too many (HTTP 503).",
            ["operation", "outcome"],
            registry=registry,
        )
        seconds = Histogram(
            "candlegraph_request_seconds",
            "From the request to the end of its answer. source: where the answer was found, as X-Cache says; other"
            " for what was refused or rejected.",
            ["source"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        sources = [*(source.value for source in Source), OTHER]
        self._took = {source: seconds.labels(source).observe for source in sources}
        self._known: dict[tuple[str | None, Outcome], Counter] = {}
        self._operations: set[str] = set()

    def answered(self, operation: str | None, outcome: Outcome, source: str, started: float) -> None:
        """started: of time.perf_counter()."""
        counter = self._known.get((operation, outcome)) or self._counter(operation, outcome)
        counter.inc()
        self._took[source](time.perf_counter() - started)

    def _counter(self, operation: str | None, outcome: Outcome) -> Counter:
        label = self._label(operation)
        counter = self._requests.labels(label, outcome)
        if label in (operation, UNNAMED):
            self._known[operation, outcome] = counter
        return counter

    def _label(self, operation: str | None) -> str:
        if not operation:
            return UNNAMED
        if operation not in self._operations:
            if len(self._operations) >= MAX_OPERATIONS or not OPERATION.fullmatch(operation):
                return OTHER
            self._operations.add(operation)
        return operation


class StatementMetrics:
    """The db.observer.Observer that counts and times."""

    def __init__(self, registry: CollectorRegistry) -> None:
        statements = Counter(
            "candlegraph_statements",
            "Statements that read from PostgreSQL. outcome: ok; refused, by a limit or for what was asked; timeout,"
            " cancelled; unavailable, no connection; overloaded, every connection busy; error, a fault of ours.",
            ["outcome"],
            registry=registry,
        )
        self._ended = {outcome: statements.labels(outcome).inc for outcome in [*STATEMENT_OUTCOMES.values(), "error"]}
        self.on_run = Histogram(
            "candlegraph_statement_seconds",
            "How long statements were with PostgreSQL, without their wait for a connection.",
            buckets=STATEMENT_BUCKETS,
            registry=registry,
        ).observe
        self.on_wait = Histogram(
            "candlegraph_pool_wait_seconds",
            "How long statements waited for a connection, be it in vain.",
            buckets=WAIT_BUCKETS,
            registry=registry,
        ).observe

    def on_end(self, error: Exception | None, /) -> None:
        self._ended[STATEMENT_OUTCOMES.get(type(error), "error")]()


class Metrics:
    """All of an application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.requests = RequestMetrics(self._registry)
        self.statements = StatementMetrics(self._registry)

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Report the length of the request queue."""
        waiting = Gauge(
            "candlegraph_requests_waiting",
            "Requests that were received and not parsed yet, because enough others are in progress.",
            registry=self._registry,
        )
        waiting.set_function(length)

    def route(self, context: Context) -> Route:
        """GET /metrics, in the text format of Prometheus."""
        scraper = Scraper(context)

        async def metrics(_: Request) -> Response:
            scrape = await scraper.look()
            text = generate_latest(self._registry) + generate_latest(scrape)
            return Response(text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"})

        return Route("/metrics", metrics)
