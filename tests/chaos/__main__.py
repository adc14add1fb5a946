"""The command line of scripts/chaos."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.chaos.run import ChaosOptions, Findings, chaos
from tests.throwaway import interrupt_on_sigterm, throwaway

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    trades: Annotated[int, typer.Option(help="Number of trades.", min=1)] = 10_000,
    clients: Annotated[int, typer.Option(help="Number of concurrent clients.", min=1, max=1_000)] = 64,
    servers: Annotated[int, typer.Option(help="Number of servers, which are killed and replaced.", min=1, max=8)] = 2,
    between_kills: Annotated[float, typer.Option(help="Mean seconds between two kills.", min=0.1)] = 1.0,
) -> None:
    """Record trades with retries while servers are killed at random, and check that each trade is stored exactly once.

    Starts its own servers and PostgreSQL, and always stops them. Takes at most ten minutes.
    """
    options = ChaosOptions(trades, clients, servers, between_kills)
    console = Console(width=None if sys.stdout.isatty() else 120)
    findings = _run_with_progress(options, console)
    rate = len(findings.answers) / findings.seconds
    console.print(f"{len(findings.answers):,} trades in {findings.seconds:,.0f} s, {rate:,.0f} a second")
    console.print(f"Killed: {dict(findings.kills)}")
    console.print(f"Attempts: {dict(findings.attempts)}")
    failures = findings.failures(options)
    for failure in failures:
        console.print(f"[red]Wrong:[/red] {failure}")
    if not failures:
        console.print("Each trade is stored exactly once, and its client has its id.")
    raise typer.Exit(1 if failures else 0)


def _run_with_progress(options: ChaosOptions, console: Console) -> Findings:
    columns = (TextColumn("Recording trades"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("trades", total=options.trades)
        with throwaway("chaos") as (url, folder):
            return chaos(url, folder, options, lambda done: bar.update(task, completed=done))


if __name__ == "__main__":
    interrupt_on_sigterm()
    app(prog_name="scripts/chaos")
