"""One run: start everything, check that the answers agree, measure, and stop everything."""

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
from benchmarks.database import Postgres, alone, postgres, prepared
from benchmarks.figures import ratios, spread
from benchmarks.latency import latencies
from benchmarks.load import Measure, require_wrk
from benchmarks.machine import machine, versions
from benchmarks.postgraphile import CannotInstall, install_postgraphile
from benchmarks.queries import Query, queries
from benchmarks.servers import LABELS, Server, started
from benchmarks.statements import count_statements
from benchmarks.throughput import Load, Subject, measure

Figures = dict[str, Any]
PARTS = ("throughput", "cache", "latency", "memory", "growth")


@dataclass(frozen=True)
class Wanted:
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
        """Whether these are all the figures, so that they may stand in the repository."""
        return not self.quick and set(self.parts) == set(PARTS) and set(self.servers) == set(LABELS)


def run(wanted: Wanted, console: Console) -> Figures:
    """All figures that were wanted. Raises RuntimeError or Differ where they would mean nothing."""
    require_wrk()
    began = time.monotonic()
    found: Figures = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": wanted.quick,
        "machine": machine(),
        "method": {name: value for name, value in wanted.load._asdict().items() if name != "deadline"},
        "skipped": {},
    }
    found["method"]["pool_size"] = wanted.pool_size
    with alone(), postgres() as server:
        names = _available(wanted, found, console)
        found["versions"] = versions(server.version, with_postgraphile="postgraphile" in names)
        _prepare(server, FULL, wanted, console)
        chosen = [queries()[name] for name in wanted.queries]
        if "throughput" in wanted.parts:
            with started(names, server.url(FULL), wanted.pool_size) as servers:
                _compare_servers(server, list(servers.values()), chosen, wanted, found, console)
        if "cache" in wanted.parts and "candlegraph" in names:
            _measure_cache(server, names, wanted, found, console)
        if "memory" in wanted.parts and "candlegraph" in names:
            _watch_memory(server, wanted, found, console)
        if "growth" in wanted.parts:
            _grow(server, names, wanted, found, console)
    found["took_seconds"] = round(time.monotonic() - began)
    return found


def _available(wanted: Wanted, found: Figures, console: Console) -> list[str]:
    """The servers that can be started here."""
    if "postgraphile" in wanted.servers:
        try:
            install_postgraphile(lambda: console.print("Installing PostGraphile …", style="dim"))
        except CannotInstall as reason:
            found["skipped"]["postgraphile"] = str(reason)
            console.print(f"[yellow]PostGraphile is skipped: {reason}.[/yellow]")
    return [name for name in wanted.servers if name not in found["skipped"]]


def _prepare(server: Postgres, content: Content, wanted: Wanted, console: Console) -> None:
    with _progress(console) as progress:
        task = progress.add_task(f"Database {content.name}", total=1)

        def show(what: str, share: float) -> None:
            progress.update(task, description=f"Database {content.name}: {what}", completed=share)

        prepared(server, content, show, fresh=wanted.fresh)


def _compare_servers(
    server: Postgres,
    servers: list[Server],
    chosen: list[Query],
    wanted: Wanted,
    found: Figures,
    console: Console,
) -> None:
    console.print("Comparing the answers, value by value …", style="dim")
    sizes = {query.name: compare(servers, query) for query in chosen}
    statements = count_statements(server, servers, chosen)
    console.print("Measuring …", style="dim")
    subjects = [
        Subject(f"{query.name} {one.name}", one, query) for query in chosen for one in servers if query.asks(one.name)
    ]
    with _progress(console) as progress:
        task = progress.add_task("", total=len(subjects) * wanted.load.rounds)

        def step(what: str) -> None:
            progress.update(task, description=what, advance=1)

        measures = measure(subjects, wanted.load, server.pid, step)
        found["method"]["rounds"] = min(map(len, measures.values()))
        found["throughput"] = {query.name: {} for query in chosen}
        for key, name, query in ((subject.key, subject.server.name, subject.query) for subject in subjects):
            found["throughput"][query.name][name] = {
                **_summary(measures[key]),
                "bytes": sizes[query.name][name],
                "statements": statements[query.name][name],
            }
        found["ratios"] = ratios(found["throughput"])
        found["notes"] = {query.name: query.notes for query in chosen if query.notes}
        found["titles"] = {query.name: query.title for query in chosen}
        if "latency" in wanted.parts:
            progress.reset(task, total=len(subjects))
            found["latency"] = latencies(subjects, found["throughput"], wanted.latency_seconds, step)


def _summary(measures: list[Measure]) -> dict[str, Any]:
    return {
        **spread([one.requests_per_second for one in measures]),
        "server_ms": spread([one.server_ms for one in measures])["median"],
        "postgres_ms": spread([one.postgres_ms for one in measures])["median"],
    }


def _measure_cache(server: Postgres, names: list[str], wanted: Wanted, found: Figures, console: Console) -> None:
    console.print("Measuring what is kept …", style="dim")
    with _progress(console) as progress:
        task = progress.add_task("", total=(len(caching.QUERIES) * 3 + 1) * wanted.load.rounds)
        found["cache"] = caching.caching(
            server,
            server.url(FULL),
            wanted.load,
            wanted.pool_size,
            lambda what: progress.update(task, description=what, advance=1),
            with_postgraphile="postgraphile" in names,
        )


def _watch_memory(server: Postgres, wanted: Wanted, found: Figures, console: Console) -> None:
    console.print("Watching the memory …", style="dim")
    mixed = [queries()[name] for name in ("Q1", "Q2", "Q3", "Q4")]
    with started(["candlegraph"], server.url(FULL), wanted.pool_size) as servers, _progress(console) as progress:
        task = progress.add_task("", total=len(memory.AFTER))
        found["memory"] = memory.memory(
            servers["candlegraph"],
            mixed,
            connections=wanted.load.connections,
            step=lambda what: progress.update(task, description=what, advance=1),
        )


def _grow(server: Postgres, names: list[str], wanted: Wanted, found: Figures, console: Console) -> None:
    console.print("Growing from one to ten million candles …", style="dim")
    growing = [name for name in growth.SERVERS if name in names]
    for content in (ONE_MILLION, TEN_MILLION):
        _prepare(server, content, wanted, console)
    with (
        started(growing, server.url(ONE_MILLION), wanted.pool_size) as small,
        started(growing, server.url(TEN_MILLION), wanted.pool_size) as large,
        _progress(console) as progress,
    ):
        task = progress.add_task("", total=len(growing) * 2 * len(growth.growth_queries()) * wanted.load.rounds)
        found["growth"] = growth.growth(
            small,
            large,
            wanted.load,
            server.pid,
            lambda what: progress.update(task, description=f"Growth, {what}", advance=1),
        )


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress
