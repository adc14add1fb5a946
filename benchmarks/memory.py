"""Memory of a newly started server while it answers 100,000 requests."""

from collections.abc import Sequence
from typing import Any

from benchmarks.client import send_many
from benchmarks.figures import FLAT_WITHIN
from benchmarks.queries import Query
from benchmarks.servers import LABELS, Server
from benchmarks.throughput import Step

SAMPLE_AFTER = (0, 1_000, 10_000, 25_000, 50_000, 75_000, 100_000)
BASELINE_AFTER = 10_000


def measure_memory(server: Server, queries: Sequence[Query], *, connections: int, step: Step) -> dict[str, Any]:
    """Resident memory in MiB after the numbers of requests in SAMPLE_AFTER, with the queries in rotation."""
    sent, resident = 0, []
    for total in SAMPLE_AFTER:
        step(f"{total:,} requests to {LABELS[server.name]}")
        send_many(server, queries, connections=connections, number=total - sent)
        sent = total
        resident.append({"requests": total, "mib": server.resident_bytes / 2**20})
    baseline = next(row["mib"] for row in resident if row["requests"] == BASELINE_AFTER)
    growth = resident[-1]["mib"] / baseline - 1
    return {"resident": resident, "growth_after_10000": growth, "met": growth <= FLAT_WITHIN}
