"""The report: its tables and lines, and the statistics of its figures."""

from typing import Any

from benchmarks.figures import percentile, ratio, ratios, spread
from benchmarks.report import markdown, not_measured, tables


def costs(*rounds: float) -> dict[str, Any]:
    return {**spread(rounds), "server_ms": 0.5, "postgres_ms": 1.25, "bytes": 12_345, "statements": 1}


def figures() -> dict[str, Any]:
    throughput = {
        "Q1": {
            "candlegraph": costs(900, 800, 1000),
            "floor": costs(1000, 1000, 1000),
            "postgraphile": costs(100, 90, 110),
        },
        "Q3": {"candlegraph": costs(500, 500, 500), "floor": costs(1000, 1000, 1000)},
    }
    return {
        "date": "2026-11-21T00:00:00+00:00",
        "took_seconds": 125,
        "machine": {
            "cpu": "A processor",
            "cores": 2,
            "memory_gib": 8.0,
            "kernel": "Linux 6",
            "load_before": [0.1, 0, 0],
        },
        "versions": {"Candlegraph": "0.1.0", "load": "wrk 4.1.0"},
        "method": {"connections": 16, "pool_size": 8, "rounds": 3, "seconds": 4, "warm_seconds": 1.0},
        "titles": {"Q1": "1,000 candles", "Q3": "one coin"},
        "throughput": throughput,
        "ratios": ratios(throughput),
        "latency": {"Q1": {"candlegraph": {"per_second": 450, "requests": 4000, "p50": 3.14, "p99": 9.99}}},
        "memory": {"resident": [{"requests": 100_000, "mib": 123.45}], "growth_after_10000": 0.012, "met": True},
        "growth": {
            "Q5": {
                "candlegraph": {"1m": spread([500]), "10m": spread([250]), "times_longer": spread([2.0]), "met": False}
            }
        },
        "notes": {"Q5": {"strawberry": "cannot aggregate candles"}},
        "skipped": {"postgraphile": "npm is not installed"},
    }


def test_the_report_has_a_line_for_each_figure() -> None:
    report = markdown(figures())
    for line in (
        "- A processor, 2 cores, 8.0 GiB, Linux 6; load average before: 0.1",
        "| Candlegraph | 900 (800 to 1,000) | 500 (500 to 500) |",
        "| Q1, times the floor | 0.90 (0.80 to 1.00) | ≥ 0.9 | met |",
        "| Q1, times PostGraphile | 9.00 (8.89 to 9.09) | ≥ 7 | met |",
        "| Q3, times the floor | 0.50 (0.50 to 0.50) | ≥ 0.75 | **missed** |",
        "| Q1, Candlegraph | 1 | 12,345 | 0.50 | 1.25 |",
        "| Q1, Candlegraph | 450 | 3.1 | 10.0 |",
        "| 100,000 | 123.5 |",
        "| growth after the first 10,000 | +1.2% met |",
        "| Q5, Candlegraph | 500 (500 to 500) | 250 (250 to 250) | 2.00 (2.00 to 2.00) | ≤ 1.3 | **missed** |",
        "- PostGraphile: skipped, because npm is not installed",
        "- Strawberry, Q5: cannot aggregate candles",
    ):
        assert line in report.splitlines()


def test_a_part_that_was_not_measured_has_no_table() -> None:
    partial = {name: value for name, value in figures().items() if name not in ("latency", "memory", "growth", "notes")}
    titles = [table.title for table in tables(partial)]
    assert titles == ["Requests per second", "Candlegraph against the others", "Cost of a request"]
    assert not_measured(partial) == [("PostGraphile", "skipped, because npm is not installed")]


def test_ratios_are_computed_within_a_round() -> None:
    slow_minute = ratio([100, 10, 100], [50, 5, 50])
    assert slow_minute is not None
    assert (slow_minute["median"], slow_minute["low"], slow_minute["high"]) == (2, 2, 2)
    assert ratio([1.0], [0.0]) is None


def test_percentiles() -> None:
    assert percentile(list(range(100)), 0.5) == 50
    assert percentile(list(range(100)), 0.99) == 99
    assert percentile([7.0], 0.99) == 7
