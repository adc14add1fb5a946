"""Medians, spreads and ratios, and what the ratios are to reach."""

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple


class Target(NamedTuple):
    query: str
    against: str
    at_least: float


TARGETS = [
    Target("Q1", "postgraphile", 7),
    Target("Q2", "postgraphile", 4),
    Target("Q3", "postgraphile", 1.5),
    Target("Q4", "postgraphile", 4),
    Target("Q1", "floor", 0.9),
    Target("Q2", "floor", 0.9),
    Target("Q3", "floor", 0.75),
    Target("Q4", "floor", 0.9),
    Target("Q5", "floor", 0.9),
]


class CacheTarget(NamedTuple):
    query: str
    server: str
    against: str
    at_least: float


CACHE_TARGETS = [
    *(CacheTarget(query, "memory", "static", 0.8) for query in ("Q1", "Q2", "Q3")),
    *(CacheTarget(query, "redis", "static", 0.35) for query in ("Q1", "Q2", "Q3")),
    CacheTarget("Q1", "memory", "postgraphile", 60),
]
# How many times longer a query may take with ten times the candles.
GROWTH_AT_MOST = 1.3
# Memory counts as flat if it grows by no more than this after the first 10,000 requests.
FLAT_WITHIN = 0.05


def spread(values: Sequence[float]) -> dict[str, Any]:
    return {"median": median(values), "low": min(values), "high": max(values), "rounds": list(values)}


def ratio(ones: Sequence[float], others: Sequence[float]) -> dict[str, Any] | None:
    """Round by round, so that what slows both down at one time does not count; None where one answered nothing."""
    pairs = list(zip(ones, others, strict=True))
    return spread([one / other for one, other in pairs]) if all(other for _, other in pairs) and pairs else None


def ratios(throughput: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Candlegraph against the others, query by query, and whether it is as fast as it should be."""
    found = []
    for query, servers in throughput.items():
        if "candlegraph" not in servers:
            continue
        for other in servers:
            if other == "candlegraph":
                continue
            rounds = servers["candlegraph"]["rounds"], servers[other]["rounds"]
            if (against := ratio(*rounds)) is None:
                continue
            wanted = next((t.at_least for t in TARGETS if (t.query, t.against) == (query, other)), None)
            met = None if wanted is None else against["median"] >= wanted
            found.append({"query": query, "against": other, **against, "target": wanted, "met": met})
    return found


def percentile(ascending: Sequence[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]
