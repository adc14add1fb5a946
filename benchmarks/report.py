"""The figures in words: tables of cells, for Markdown and for the terminal alike."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any, NamedTuple

from benchmarks.figures import GROWTH_AT_MOST
from benchmarks.servers import ALL_LABELS, LABELS

Figures = dict[str, Any]

METHOD = """
Every server is one process with a pool of {pool_size} connections to one PostgreSQL. `wrk` asks it over {connections}
connections, and all of them share the machine. Before anything is measured, the answers of all servers are compared,
value by value. In each of {rounds} rounds, every server answers every query for {seconds} s, one server after another,
each warmed up for {warm_seconds:g} s; slow ones get more time. Ratios are taken within a round. Shown are the median,
and the lowest to the highest of all rounds.

*Cold* means that every request brings a document that was never seen before. *The floor* is a bare Starlette route that
runs the best statement that we could write by hand, and passes on the bytes: no GraphQL at all. *Strawberry* is a
server as its documentation teaches it, with SQLAlchemy's ORM, dataloaders and its caches of documents. *PostGraphile*
runs on Node with the Amber preset, without GraphiQL, watching and explaining; it is asked for lists rather than
connections, because they cost less.

All this is without the cache: Candlegraph keeps nothing, as the others do not. What it keeps is measured apart: *from
memory*, and *from Redis* with no memory of its own, beside *static bytes*, the same answers from a bare Starlette route
under the same HTTP server.
"""
LATENCY_METHOD = """
`wrk` waits for an answer before it sends the next request, which hides the worst latencies. So these come from a
generator of our own, whose requests arrive at random times (a Poisson process), whether the server keeps up or not.
"""


class Table(NamedTuple):
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(figures: Figures) -> list[Table]:
    """Those that have figures."""
    makers = (_throughput, _ratios, _costs, _cache, _cache_ratios, _latency, _memory, _growth)
    return [table for maker in makers if (table := maker(figures)) is not None]


def markdown(figures: Figures) -> str:
    """The whole of RESULTS.md."""
    lines = ["# Benchmarks", "", "`scripts/bench` wrote this; a run of yours replaces it.", ""]
    lines += [f"Measured on {figures['date'][:10]}, in a run of {figures['took_seconds'] / 60:.0f} minutes.", ""]
    lines += [f"- {line}" for line in _circumstances(figures)]
    lines += ["", "## Method", "", *_method(figures)]
    if figures.get("titles"):
        lines += ["", "Queries:", "", *(f"- **{name}**: {title}" for name, title in figures["titles"].items())]
    for table in tables(figures):
        lines += ["", f"## {table.title}", "", _row(table.columns)]
        lines += ["|---" + "|---:" * (len(table.columns) - 1) + "|", *map(_row, table.rows)]
    lines += ["", *(f"- {name}: {reason}" for name, reason in left_out(figures))]
    return "\n".join(lines).rstrip() + "\n"


def left_out(figures: Figures) -> list[tuple[str, str]]:
    """What was not measured, and why."""
    skipped = [(LABELS[name], f"skipped, because {reason}") for name, reason in figures["skipped"].items()]
    notes = figures.get("notes", {})
    return skipped + [(f"{LABELS[name]}, {query}", why) for query, by in notes.items() for name, why in by.items()]


def _circumstances(figures: Figures) -> list[str]:
    machine = figures["machine"]
    return [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['kernel']}; "
        f"load average before: {machine['load_before'][0]}",
        ", ".join(f"{name} {version}" for name, version in figures["versions"].items()).replace("load wrk", "wrk"),
    ]


def _method(figures: Figures) -> list[str]:
    text = METHOD.format(**figures["method"]) + (LATENCY_METHOD if "latency" in figures else "")
    return "\n\n".join(fill(paragraph, 118) for paragraph in text.strip().split("\n\n")).split("\n")


def _throughput(figures: Figures) -> Table | None:
    if not (found := figures.get("throughput")):
        return None
    names = [name for name in LABELS if any(name in servers for servers in found.values())]
    rows = [[LABELS[name], *(_with_spread(servers.get(name), _rate) for servers in found.values())] for name in names]
    return Table("Requests per second", ["", *found], rows)


def _ratios(figures: Figures) -> Table | None:
    if not (found := figures.get("ratios")):
        return None
    rows = [
        [
            f"{row['query']}, times {LABELS[row['against']]}",
            _with_spread(row, _times),
            "" if row["target"] is None else f"≥ {row['target']:g}",
            _verdict(row["met"]),
        ]
        for row in found
    ]
    return Table("Candlegraph against the others", ["", "median (lowest to highest)", "wanted", ""], rows)


def _costs(figures: Figures) -> Table | None:
    if not (found := figures.get("throughput")):
        return None
    rows = [
        [
            f"{query}, {LABELS[name]}",
            f"{one['statements']:g}",
            f"{one['bytes']:,}",
            f"{one['server_ms']:.2f}",
            f"{one['postgres_ms']:.2f}",
        ]
        for query, servers in found.items()
        for name, one in servers.items()
    ]
    columns = ["", "statements", "bytes of an answer", "processor ms, server", "processor ms, PostgreSQL"]
    return Table("What a request costs", columns, rows)


def _cache(figures: Figures) -> Table | None:
    if not (found := figures.get("cache")):
        return None
    rows = []
    for key, one in found["throughput"].items():
        query, _, name = key.partition(" ")
        rows.append([f"{query}, {ALL_LABELS[name]}", _with_spread(one, _rate)])
    at_once = found["at_once"]
    said = f"{at_once['requests']} requests at once for what nobody has asked before: statements"
    rows.append([said, f"{at_once['statements']} {_verdict(at_once['met'])}"])
    return Table("Answers that are kept", ["", "requests per second"], rows)


def _cache_ratios(figures: Figures) -> Table | None:
    if not (found := figures.get("cache")):
        return None
    rows = [
        [
            f"{row['query']}, {ALL_LABELS[row['server']]}, times {ALL_LABELS[row['against']]}",
            _with_spread(row, _times),
            f"≥ {row['at_least']:g}",
            _verdict(row["met"]),
        ]
        for row in found["ratios"]
    ]
    return Table("Answers that are kept, against the others", ["", "median (lowest to highest)", "wanted", ""], rows)


def _latency(figures: Figures) -> Table | None:
    if not (found := figures.get("latency")):
        return None
    rows = [
        [f"{query}, {LABELS[name]}", _rate(one["per_second"]), f"{one['p50']:.1f}", f"{one['p99']:.1f}"]
        for query, servers in found.items()
        for name, one in servers.items()
    ]
    title = "Latency at half of its own peak load"
    return Table(title, ["requests that arrive at random times", "per second", "p50, ms", "p99, ms"], rows)


def _memory(figures: Figures) -> Table | None:
    if not (found := figures.get("memory")):
        return None
    rows = [[f"{row['requests']:,}", f"{row['mib']:.1f}"] for row in found["resident"]]
    rows.append(["growth after the first 10,000", f"{found['growth_after_10000']:+.1%} {_verdict(found['met'])}"])
    return Table("Memory of Candlegraph", ["requests (Q1 to Q4 in turn)", "resident MiB"], rows)


def _growth(figures: Figures) -> Table | None:
    if not (found := figures.get("growth")):
        return None
    rows = [
        [
            f"{query}, {LABELS[name]}",
            _with_spread(one["1m"], _rate),
            _with_spread(one["10m"], _rate),
            _with_spread(one["times_longer"], _times),
            "" if one["met"] is None else f"≤ {GROWTH_AT_MOST:g}",
            _verdict(one["met"]),
        ]
        for query, servers in found.items()
        for name, one in servers.items()
    ]
    columns = ["requests per second", "1 million candles", "10 million", "times longer", "wanted", ""]
    return Table("From 1 to 10 million candles", columns, rows)


def _with_spread(one: dict[str, Any] | None, shown: Any) -> str:
    return "" if one is None else f"{shown(one['median'])} ({shown(one['low'])} to {shown(one['high'])})"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}"


def _times(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _verdict(met: bool | None) -> str:
    return {True: "met", False: "**missed**", None: ""}[met]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
