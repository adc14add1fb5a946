"""Slowdown of queries from one million candles of one coin to ten million of ten coins, stored in order of time."""

from collections.abc import Sequence
from typing import Any

from benchmarks.data import MINUTES_SYMBOL
from benchmarks.figures import GROWTH_AT_MOST, ratio, spread
from benchmarks.queries import CANDLE, Query, queries
from benchmarks.servers import Server
from benchmarks.throughput import Load, Step, Subject, measure

SERVERS = ("candlegraph", "floor")


def growth_queries() -> list[Query]:
    """Q1 for the coin with minute candles, which is in both databases; and Q5."""
    newest_candles = Query(
        "Q1",
        "1,000 candles of one coin, six fields",
        {"candlegraph": f'{{ cryptocurrency(symbol: "{MINUTES_SYMBOL}") {{ candles(last: 1000) {{ {CANDLE} }} }} }}'},
        [{"symbol": MINUTES_SYMBOL, "last": 1000}],
    )
    return [newest_candles, queries()["Q5"]]


def measure_growth(
    small: dict[str, Server], large: dict[str, Server], load: Load, postgres_pid: int, step: Step
) -> dict[str, dict[str, Any]]:
    """Requests per second at both sizes, by query and server, and their ratio: how much longer a request takes."""
    figures: dict[str, dict[str, Any]] = {}
    for query in growth_queries():
        pairs: Sequence[tuple[str, Server, Server]] = [(name, small[name], large[name]) for name in small]
        subjects = [
            Subject(f"{name} {size}", server, query)
            for name, *servers in pairs
            for size, server in zip(("1m", "10m"), servers, strict=True)
        ]
        measurements = measure(subjects, load, postgres_pid, step)
        rates = {key: [round_.requests_per_second for round_ in rounds] for key, rounds in measurements.items()}
        figures[query.name] = {}
        for name in small:
            slowdown = ratio(rates[f"{name} 1m"], rates[f"{name} 10m"])
            figures[query.name][name] = {
                "1m": spread(rates[f"{name} 1m"]),
                "10m": spread(rates[f"{name} 10m"]),
                "times_longer": slowdown,
                "met": slowdown["median"] <= GROWTH_AT_MOST if slowdown and name == "candlegraph" else None,
            }
    return figures
