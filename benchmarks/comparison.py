"""The command line of scripts/compare: this checkout of Candlegraph against another one, in interleaved rounds."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.data import FULL
from benchmarks.database import exclusive_run, postgres, prepare_database
from benchmarks.figures import ratio
from benchmarks.load import Measurement, require_wrk
from benchmarks.queries import queries
from benchmarks.servers import Server, started
from benchmarks.throughput import Load, Subject, measure
from tests.redis_server import redis_server

MODES = {"candlegraph": "no cache", "memory": "memory", "redis": "Redis", "cold": "new documents"}
# The median ratio of requests per second that a change has to reach.
AT_LEAST = 0.95


def compare(
    other: Annotated[Path, typer.Argument(help="Another checkout, installed by its own scripts/install.", exists=True)],
    only: Annotated[str, typer.Option(help="Queries to send.", metavar="Q1,Q2,…")] = "Q1,Q2,Q3",
    modes: Annotated[str, typer.Option(help=f"Of {', '.join(MODES)}.", metavar="NAMES")] = "candlegraph,memory,redis",
    rounds: Annotated[int, typer.Option(help="Rounds; each measures both checkouts.", min=1)] = 9,
    seconds: Annotated[int, typer.Option(help="Seconds of a measurement.", min=1)] = 2,
    pool_size: Annotated[int, typer.Option(help="Connections of each server to PostgreSQL.", min=1, max=20)] = 8,
) -> None:
    """Compare the requests per second of two checkouts. Ends with 1 if a median ratio is below 0.95.

    Both servers run during the whole measurement, on the same database; each round loads one after the other. The order
    alternates, so that a drift of the machine does not favour one of them.
    """
    console = Console()
    require_wrk()
    names = [name.strip() for name in modes.split(",")]
    with exclusive_run(), postgres() as server, redis_server() if "redis" in names else nullcontext() as redis:
        prepare_database(server, FULL, lambda _what, _share: None)
        settings = server.url(FULL), pool_size, redis.url if redis else ""
        with started(names, *settings) as ours, started(names, *settings, checkout=other.resolve()) as theirs:
            ratios = _measure_ratios(ours, theirs, only, Load(rounds=rounds, seconds=seconds), server.pid)
    console.print(_table(ratios))
    raise typer.Exit(int(any(each["median"] < AT_LEAST for each in ratios.values())))


def _measure_ratios(
    ours: dict[str, Server], theirs: dict[str, Server], only: str, load: Load, postgres_pid: int
) -> dict[str, dict[str, Any]]:
    """The ratios of each query and mode, round by round: of requests per second, and of server time per request."""
    pairs = [(queries()[query.strip()], mode) for query in only.split(",") for mode in ours]
    found: dict[tuple[str, str], list[Measurement]] = {}
    for number in range(load.rounds):
        subjects = [
            Subject(f"{side} {query.name} {mode}", servers[mode], query)
            for query, mode in pairs
            for side, servers in (("ours", ours), ("theirs", theirs))[:: -1 if number % 2 else 1]
        ]
        for key, [measurement] in measure(subjects, load._replace(rounds=1), postgres_pid, lambda _: None).items():
            side, name = key.split(" ", 1)
            found.setdefault((name, side), []).append(measurement)
    names = [f"{query.name} {mode}" for query, mode in pairs]
    return {name: _ratios(found[name, "ours"], found[name, "theirs"]) for name in names}


def _ratios(ours: list[Measurement], theirs: list[Measurement]) -> dict[str, Any]:
    rates = ratio([one.requests_per_second for one in ours], [one.requests_per_second for one in theirs]) or {}
    times = ratio([one.server_ms for one in theirs], [one.server_ms for one in ours]) or {}
    return {**rates, "server_time": times["median"]}


def _table(ratios: dict[str, dict[str, Any]]) -> Table:
    title = "Requests per second, and server time per request, compared: above 1, this checkout is faster"
    table = Table("query", "answered by", "median", "lowest", "highest", "server time", title=title)
    for name, each in ratios.items():
        query, mode = name.split(" ")
        table.add_row(
            query, MODES[mode], *(f"{each[figure]:.2f}" for figure in ("median", "low", "high", "server_time"))
        )
    return table


if __name__ == "__main__":
    typer.run(compare)
