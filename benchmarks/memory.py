"""The memory of a server that was just started, while it answers 100,000 requests."""

from collections.abc import Sequence
from typing import Any

from benchmarks.client import send_many
from benchmarks.figures import FLAT_WITHIN
from benchmarks.queries import Query
from benchmarks.servers import LABELS, Server
from benchmarks.throughput import Step

AFTER = (0, 1_000, 10_000, 25_000, 50_000, 75_000, 100_000)
FLAT_AFTER = 10_000


def memory(server: Server, queries: Sequence[Query], *, connections: int, step: Step) -> dict[str, Any]:
    """Resident memory in MiB after so many requests, of all the queries in turn."""
    sent, resident = 0, []
    for wanted in AFTER:
        step(f"{wanted:,} requests to {LABELS[server.name]}")
        send_many(server, queries, connections=connections, number=wanted - sent)
        sent = wanted
        resident.append({"requests": wanted, "mib": server.resident_bytes / 2**20})
    early = next(row["mib"] for row in resident if row["requests"] == FLAT_AFTER)
    growth = resident[-1]["mib"] / early - 1
    return {"resident": resident, "growth_after_10000": growth, "met": growth <= FLAT_WITHIN}
