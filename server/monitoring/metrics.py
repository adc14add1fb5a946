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

# Clients choose the names of operations. The first ones, up to this number, get a series of their own.
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
# The start time of each series would be another series: twice the text, and nothing reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class RequestMetrics:
    """Requests to the endpoint. Runs for every request, so the children of the metrics are looked up beforehand."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "candlegraph_requests",
            "GraphQL requests. operation: the operationName of the request, - if it has none, other for names beyond"
            f" the first {MAX_OPERATIONS}. outcome: ok; partial, fields have errors; refused, the operation is invalid"
            " or not allowed; limited, the rate limit is used up (HTTP 429); rejected, not a valid GraphQL request"
            " (HTTP 4xx); shed, the server is overloaded (HTTP 503).",
            ["operation", "outcome"],
            registry=registry,
        )
        seconds = Histogram(
            "candlegraph_request_seconds",
            "Time from a request to the end of its response. source: of the answer, as in X-Cache; other for requests"
            " that were refused or rejected.",
            ["source"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        sources = [*(source.value for source in Source), OTHER]
        self._took = {source: seconds.labels(source).observe for source in sources}
        self._known: dict[tuple[str | None, Outcome], Counter] = {}
        self._operations: set[str] = set()

    def answered(self, operation: str | None, outcome: Outcome, source: str, started: float) -> None:
        """started: time.perf_counter() at the start of the request."""
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
    """A db.observer.Observer that counts statements and measures their times."""

    def __init__(self, registry: CollectorRegistry) -> None:
        statements = Counter(
            "candlegraph_statements",
            "Statements that read from PostgreSQL. outcome: ok; refused, by a limit or an invalid argument; timeout,"
            " cancelled; unavailable, no connection; overloaded, every connection was busy; error, any other error.",
            ["outcome"],
            registry=registry,
        )
        self._ended = {outcome: statements.labels(outcome).inc for outcome in [*STATEMENT_OUTCOMES.values(), "error"]}
        self.on_run = Histogram(
            "candlegraph_statement_seconds",
            "Time that PostgreSQL took for a statement, without the wait for a connection.",
            buckets=STATEMENT_BUCKETS,
            registry=registry,
        ).observe
        self.on_wait = Histogram(
            "candlegraph_pool_wait_seconds",
            "Time that statements waited for a connection, whether they got one or not.",
            buckets=WAIT_BUCKETS,
            registry=registry,
        ).observe

    def on_end(self, error: Exception | None, /) -> None:
        self._ended[STATEMENT_OUTCOMES.get(type(error), "error")]()


class JobMetrics:
    """Runs of background jobs. Their label is not called job: Prometheus gives that name to what it scrapes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._last_success = Gauge(
            "candlegraph_job_last_success_timestamp_seconds",
            "When a background job last succeeded in this process, in seconds since 1970. No sample before that.",
            ["name"],
            registry=registry,
        )
        self._duration = Gauge(
            "candlegraph_job_duration_seconds",
            "Duration of a background job's last run in this process.",
            ["name"],
            registry=registry,
        )
        self._failures = Counter(
            "candlegraph_job_failures",
            "Runs of a background job that failed in this process.",
            ["name"],
            registry=registry,
        )
        self._running = Gauge(
            "candlegraph_job_running",
            "Whether this process runs a background job. An exclusive job runs in one process of all servers.",
            ["name"],
            registry=registry,
        )

    def add(self, name: str, is_running: Callable[[], bool]) -> None:
        """Report this job from now on."""
        self._running.labels(name).set_function(is_running)
        self._failures.labels(name)

    def succeeded(self, name: str, seconds: float) -> None:
        self._duration.labels(name).set(seconds)
        self._last_success.labels(name).set_to_current_time()

    def failed(self, name: str, seconds: float) -> None:
        self._duration.labels(name).set(seconds)
        self._failures.labels(name).inc()


class Metrics:
    """All metrics of an application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.requests = RequestMetrics(self._registry)
        self.statements = StatementMetrics(self._registry)
        self.jobs = JobMetrics(self._registry)

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
            scrape = await scraper.scrape()
            text = generate_latest(self._registry) + generate_latest(scrape)
            return Response(text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"})

        return Route("/metrics", metrics)
