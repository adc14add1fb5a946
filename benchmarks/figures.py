"""Medians, spreads and ratios, and the targets for the ratios."""

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
# The most times that a query may take longer with ten times the candles.
GROWTH_AT_MOST = 1.3
# The share by which memory may grow after the first 10,000 requests.
FLAT_WITHIN = 0.05


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The median, the lowest and the highest of the values, and the values as `rounds`."""
    return {"median": median(values), "low": min(values), "high": max(values), "rounds": list(values)}


def ratio(dividends: Sequence[float], divisors: Sequence[float]) -> dict[str, Any] | None:
    """The spread of the ratios of each round, so that a slow minute, which slows down both, cancels out.

    None without rounds, or if a divisor is 0.
    """
    if not divisors or not all(divisors):
        return None
    return spread([dividend / divisor for dividend, divisor in zip(dividends, divisors, strict=True)])


def ratios(throughput: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Ratios of Candlegraph to each other server, by query, with their targets and whether these are met."""
    rows = []
    for query, servers in throughput.items():
        if "candlegraph" not in servers:
            continue
        for other in servers:
            if other == "candlegraph":
                continue
            rounds = servers["candlegraph"]["rounds"], servers[other]["rounds"]
            if (spread_of_ratios := ratio(*rounds)) is None:
                continue
            target = next((t.at_least for t in TARGETS if (t.query, t.against) == (query, other)), None)
            met = None if target is None else spread_of_ratios["median"] >= target
            rows.append({"query": query, "against": other, **spread_of_ratios, "target": target, "met": met})
    return rows


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies. share: from 0 to 1."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]
