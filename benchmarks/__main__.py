"""The command line of scripts/bench."""

import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.answers import AnswersDiffer
from benchmarks.database import REPOSITORY
from benchmarks.queries import queries
from benchmarks.report import markdown, not_measured, tables
from benchmarks.run import PARTS, Figures, RunOptions, run
from benchmarks.servers import LABELS
from benchmarks.throughput import Load

RESULTS = REPOSITORY / "benchmarks" / "RESULTS.md"
# A quick run may take three minutes: no round begins after these seconds.
QUICK_SECONDS = 150

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


def _select(value: str, choices: list[str]) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    if unknown := [name for name in names if name not in choices]:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(choices)}.")
    return [name for name in choices if name in names]


@app.command()
def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Throughput only, in short rounds; ends within three minutes.")
    ] = False,
    only: Annotated[str, typer.Option(help="Queries to send.", metavar="Q1,Q2,…")] = ",".join(queries()),
    servers: Annotated[str, typer.Option(help="Servers to compare.", metavar="NAMES")] = ",".join(LABELS),
    parts: Annotated[str, typer.Option(help="Parts to measure.", metavar="NAMES")] = ",".join(PARTS),
    rounds: Annotated[int | None, typer.Option(help="Rounds. Default: 5; 3 in a quick run.", min=1)] = None,
    seconds: Annotated[
        int | None, typer.Option(help="Seconds of a measurement. Default: 4; 1 in a quick run.", min=1)
    ] = None,
    connections: Annotated[int, typer.Option(help="Connections of the load.", min=1, max=1000)] = 16,
    pool_size: Annotated[int, typer.Option(help="Connections of each server to PostgreSQL.", min=1, max=20)] = 8,
    fresh: Annotated[bool, typer.Option("--fresh", help="Load the data again.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.", dir_okay=False)] = None,
    results: Annotated[
        Path | None, typer.Option(help="Write the report to this file: benchmarks/RESULTS.md after a complete run.")
    ] = None,
) -> None:
    """Compare Candlegraph with a floor of hand-written SQL, Strawberry as in its tutorials, and PostGraphile.

    Each server is one process on this machine. The embedded PostgreSQL in .candlegraph-bench/ is kept between runs.

    A complete run takes about half an hour, and loads twelve million candles the first time.

    Servers: candlegraph, cold (Candlegraph, with a new document in every request), floor, strawberry, postgraphile.
    Parts: throughput, cache, latency, memory, growth.
    """
    console = Console(width=None if sys.stdout.isatty() else 120)
    options = RunOptions(
        queries=_select(only, list(queries())),
        servers=_select(servers, list(LABELS)),
        parts=["throughput"] if quick else _select(parts, list(PARTS)),
        load=Load(
            connections=connections,
            rounds=rounds or (3 if quick else 5),
            seconds=seconds or (1 if quick else 4),
            warm_seconds=0.3 if quick else 1.0,
            deadline=time.monotonic() + QUICK_SECONDS if quick else None,
        ),
        pool_size=pool_size,
        fresh=fresh,
        quick=quick,
    )
    try:
        figures = run(options, console)
    except (AnswersDiffer, RuntimeError) as error:
        console.print(f"[red]Error:[/red] {escape(str(error))}")
        raise typer.Exit(1) from None
    _print_tables(figures, console)
    if json is not None:
        json.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    if results is not None or options.is_complete:
        (results or RESULTS).write_text(markdown(figures))
        console.print(f"Written: {results or RESULTS}")


def _print_tables(figures: Figures, console: Console) -> None:
    for table in tables(figures):
        rendered = Table(title=table.title, title_justify="left", title_style="bold")
        for column in table.columns:
            rendered.add_column(column, justify="left" if column == table.columns[0] else "right")
        for row in table.rows:
            rendered.add_row(*(cell.replace("**missed**", "[red]missed[/red]") for cell in row))
        console.print(rendered)
    for name, reason in not_measured(figures):
        console.print(f"{name}: {reason}")
    console.print(f"This took {figures['took_seconds']} s.")


def _interrupt(_signal: int, _frame: object) -> None:
    # The same as Ctrl-C, so that context managers stop the servers.
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    app(prog_name="scripts/bench")
