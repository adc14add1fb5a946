"""Latencies at half the load that a server can bear."""

from collections.abc import Sequence
from typing import Any

from benchmarks.client import arrive
from benchmarks.figures import percentile
from benchmarks.servers import LABELS
from benchmarks.throughput import Step, Subject

FEWEST_REQUESTS = 50


def latencies(
    subjects: Sequence[Subject], throughput: dict[str, dict[str, Any]], seconds: float, step: Step
) -> dict[str, dict[str, Any]]:
    """p50 and p99 in milliseconds, by query and server."""
    found: dict[str, dict[str, Any]] = {subject.query.name: {} for subject in subjects}
    for _, server, query in subjects:
        step(f"{query.name}, latency: {LABELS[server.name]}")
        half = throughput[query.name][server.name]["median"] / 2
        if half * seconds < FEWEST_REQUESTS:
            continue
        taken = arrive(server, query, per_second=half, seconds=seconds)
        found[query.name][server.name] = {
            "per_second": half,
            "requests": len(taken),
            "p50": percentile(taken, 0.50),
            "p99": percentile(taken, 0.99),
        }
    return found
