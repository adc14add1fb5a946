"""How queries slow down when a coin is one of ten: from one to ten million candles, in the order of their time."""

from collections.abc import Sequence
from typing import Any

from benchmarks.data import MINUTES_SYMBOL
from benchmarks.figures import GROWTH_AT_MOST, ratio, spread
from benchmarks.queries import CANDLE, Query, queries
from benchmarks.servers import Server
from benchmarks.throughput import Load, Step, Subject, measure

SERVERS = ("candlegraph", "floor")


def growth_queries() -> list[Query]:
    """Q1 of the coin of minutes, which is in both databases; and Q5."""
    newest = Query(
        "Q1",
        "1,000 candles of one coin, six fields",
        {"candlegraph": f'{{ cryptocurrency(symbol: "{MINUTES_SYMBOL}") {{ candles(last: 1000) {{ {CANDLE} }} }} }}'},
        [{"symbol": MINUTES_SYMBOL, "last": 1000}],
    )
    return [newest, queries()["Q5"]]


def growth(
    small: dict[str, Server], large: dict[str, Server], load: Load, postgres_pid: int, step: Step
) -> dict[str, dict[str, Any]]:
    """Requests per second at both sizes, by query and server, and how many times longer a request takes."""
    found: dict[str, dict[str, Any]] = {}
    for query in growth_queries():
        pairs: Sequence[tuple[str, Server, Server]] = [(name, small[name], large[name]) for name in small]
        subjects = [
            Subject(f"{name} {size}", server, query)
            for name, *both in pairs
            for size, server in zip(("1m", "10m"), both, strict=True)
        ]
        measures = measure(subjects, load, postgres_pid, step)
        rates = {key: [one.requests_per_second for one in ones] for key, ones in measures.items()}
        found[query.name] = {}
        for name in small:
            longer = ratio(rates[f"{name} 1m"], rates[f"{name} 10m"])
            found[query.name][name] = {
                "1m": spread(rates[f"{name} 1m"]),
                "10m": spread(rates[f"{name} 10m"]),
                "times_longer": longer,
                "met": longer["median"] <= GROWTH_AT_MOST if longer and name == "candlegraph" else None,
            }
    return found
