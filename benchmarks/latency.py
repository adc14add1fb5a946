"""Latencies at half of the peak throughput of a server."""

from collections.abc import Sequence
from typing import Any

from benchmarks.client import latencies_at_rate
from benchmarks.figures import percentile
from benchmarks.servers import LABELS
from benchmarks.throughput import Step, Subject

MIN_REQUESTS = 50


def measure_latencies(
    subjects: Sequence[Subject], throughput: dict[str, dict[str, Any]], seconds: float, step: Step
) -> dict[str, dict[str, Any]]:
    """Rate, number of requests, p50 and p99 in milliseconds, by query and server.

    A server that would answer fewer than MIN_REQUESTS is left out.
    """
    figures: dict[str, dict[str, Any]] = {subject.query.name: {} for subject in subjects}
    for _, server, query in subjects:
        step(f"{query.name}, latency: {LABELS[server.name]}")
        half = throughput[query.name][server.name]["median"] / 2
        if half * seconds < MIN_REQUESTS:
            continue
        milliseconds = latencies_at_rate(server, query, per_second=half, seconds=seconds)
        figures[query.name][server.name] = {
            "per_second": half,
            "requests": len(milliseconds),
            "p50": percentile(milliseconds, 0.50),
            "p99": percentile(milliseconds, 0.99),
        }
    return figures
