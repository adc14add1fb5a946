"""One benchmark run: starts the servers, compares their answers, measures, and stops the servers."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import caching, growth, memory
from benchmarks.answers import compare
from benchmarks.data import FULL, ONE_MILLION, TEN_MILLION, Content
from benchmarks.database import Postgres, exclusive_run, postgres, prepare_database
from benchmarks.figures import ratios, spread
from benchmarks.latency import measure_latencies
from benchmarks.load import Measurement, require_wrk
from benchmarks.machine import machine, versions
from benchmarks.postgraphile import CannotInstall, install_postgraphile
from benchmarks.queries import Query, queries
from benchmarks.servers import LABELS, Server, started
from benchmarks.statements import count_statements
from benchmarks.throughput import Load, Subject, measure

Figures = dict[str, Any]
PARTS = ("throughput", "cache", "latency", "memory", "growth")


@dataclass(frozen=True)
class RunOptions:
    """What to measure, and how."""

    queries: Sequence[str]
    servers: Sequence[str]
    parts: Sequence[str]
    load: Load
    pool_size: int = 8
    latency_seconds: float = 8
    fresh: bool = False
    quick: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether all parts and servers are measured at full length, as RESULTS.md requires."""
        return not self.quick and set(self.parts) == set(PARTS) and set(self.servers) == set(LABELS)


def run(options: RunOptions, console: Console) -> Figures:
    """The figures of the selected parts. Raises AnswersDiffer, or RuntimeError if a server or the load fails."""
    require_wrk()
    began = time.monotonic()
    figures: Figures = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": options.quick,
        "machine": machine(),
        "method": {name: value for name, value in options.load._asdict().items() if name != "deadline"},
        "skipped": {},
    }
    figures["method"]["pool_size"] = options.pool_size
    with exclusive_run(), postgres() as server:
        names = _available(options, figures, console)
        figures["versions"] = versions(server.version, with_postgraphile="postgraphile" in names)
        _prepare(server, FULL, options, console)
        selected = [queries()[name] for name in options.queries]
        if "throughput" in options.parts:
            with started(names, server.url(FULL), options.pool_size) as servers:
                _compare_servers(server, list(servers.values()), selected, options, figures, console)
        if "cache" in options.parts and "candlegraph" in names:
            _measure_cache(server, names, options, figures, console)
        if "memory" in options.parts and "candlegraph" in names:
            _measure_memory(server, options, figures, console)
        if "growth" in options.parts:
            _measure_growth(server, names, options, figures, console)
    figures["took_seconds"] = round(time.monotonic() - began)
    return figures


def _available(options: RunOptions, figures: Figures, console: Console) -> list[str]:
    """The selected servers that can be started on this machine."""
    if "postgraphile" in options.servers:
        try:
            install_postgraphile(lambda: console.print("Installing PostGraphile …", style="dim"))
        except CannotInstall as reason:
            figures["skipped"]["postgraphile"] = str(reason)
            console.print(f"[yellow]PostGraphile is skipped: {reason}.[/yellow]")
    return [name for name in options.servers if name not in figures["skipped"]]


def _prepare(server: Postgres, content: Content, options: RunOptions, console: Console) -> None:
    with _progress(console) as progress:
        task = progress.add_task(f"Database {content.name}", total=1)

        def show(description: str, share: float) -> None:
            progress.update(task, description=f"Database {content.name}: {description}", completed=share)

        prepare_database(server, content, show, fresh=options.fresh)


def _compare_servers(
    server: Postgres,
    servers: list[Server],
    selected: list[Query],
    options: RunOptions,
    figures: Figures,
    console: Console,
) -> None:
    console.print("Comparing the answers, value by value …", style="dim")
    sizes = {query.name: compare(servers, query) for query in selected}
    statements = count_statements(server, servers, selected)
    console.print("Measuring …", style="dim")
    subjects = [
        Subject(f"{query.name} {each.name}", each, query)
        for query in selected
        for each in servers
        if query.supports(each.name)
    ]
    with _progress(console) as progress:
        task = progress.add_task("", total=len(subjects) * options.load.rounds)

        def step(description: str) -> None:
            progress.update(task, description=description, advance=1)

        measurements = measure(subjects, options.load, server.pid, step)
        figures["method"]["rounds"] = min(map(len, measurements.values()))
        figures["throughput"] = {query.name: {} for query in selected}
        for key, name, query in ((subject.key, subject.server.name, subject.query) for subject in subjects):
            figures["throughput"][query.name][name] = {
                **_summary(measurements[key]),
                "bytes": sizes[query.name][name],
                "statements": statements[query.name][name],
            }
        figures["ratios"] = ratios(figures["throughput"])
        figures["notes"] = {query.name: query.notes for query in selected if query.notes}
        figures["titles"] = {query.name: query.title for query in selected}
        if "latency" in options.parts:
            progress.reset(task, total=len(subjects))
            figures["latency"] = measure_latencies(subjects, figures["throughput"], options.latency_seconds, step)


def _summary(measurements: list[Measurement]) -> dict[str, Any]:
    return {
        **spread([measurement.requests_per_second for measurement in measurements]),
        "server_ms": spread([measurement.server_ms for measurement in measurements])["median"],
        "postgres_ms": spread([measurement.postgres_ms for measurement in measurements])["median"],
    }


def _measure_cache(server: Postgres, names: list[str], options: RunOptions, figures: Figures, console: Console) -> None:
    console.print("Measuring the cache …", style="dim")
    with _progress(console) as progress:
        task = progress.add_task("", total=(len(caching.QUERIES) * 3 + 1) * options.load.rounds)
        figures["cache"] = caching.measure_cache(
            server,
            server.url(FULL),
            options.load,
            options.pool_size,
            lambda description: progress.update(task, description=description, advance=1),
            with_postgraphile="postgraphile" in names,
        )


def _measure_memory(server: Postgres, options: RunOptions, figures: Figures, console: Console) -> None:
    console.print("Measuring the memory …", style="dim")
    mixed = [queries()[name] for name in ("Q1", "Q2", "Q3", "Q4")]
    with started(["candlegraph"], server.url(FULL), options.pool_size) as servers, _progress(console) as progress:
        task = progress.add_task("", total=len(memory.SAMPLE_AFTER))
        figures["memory"] = memory.measure_memory(
            servers["candlegraph"],
            mixed,
            connections=options.load.connections,
            step=lambda description: progress.update(task, description=description, advance=1),
        )


def _measure_growth(
    server: Postgres, names: list[str], options: RunOptions, figures: Figures, console: Console
) -> None:
    console.print("Measuring the growth from one to ten million candles …", style="dim")
    servers = [name for name in growth.SERVERS if name in names]
    for content in (ONE_MILLION, TEN_MILLION):
        _prepare(server, content, options, console)
    with (
        started(servers, server.url(ONE_MILLION), options.pool_size) as small,
        started(servers, server.url(TEN_MILLION), options.pool_size) as large,
        _progress(console) as progress,
    ):
        task = progress.add_task("", total=len(servers) * 2 * len(growth.growth_queries()) * options.load.rounds)
        figures["growth"] = growth.measure_growth(
            small,
            large,
            options.load,
            server.pid,
            lambda description: progress.update(task, description=f"Growth, {description}", advance=1),
        )


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress
