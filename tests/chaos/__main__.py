"""The command line of scripts/chaos."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.chaos.run import Findings, Wanted, chaos
from tests.throwaway import end_tidily_on_sigterm, throwaway

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    trades: Annotated[int, typer.Option(help="How many to record.", min=1)] = 10_000,
    clients: Annotated[int, typer.Option(help="How many record at once.", min=1, max=1_000)] = 64,
    servers: Annotated[int, typer.Option(help="How many serve, and are killed.", min=1, max=8)] = 2,
    between_kills: Annotated[float, typer.Option(help="Seconds, about.", min=0.1)] = 1.0,
) -> None:
    """Trades are recorded and sent again, while servers are killed at random: is each there exactly once?

    All run here, on a PostgreSQL of their own, and are ended whatever happens. It takes ten minutes at the most.
    """
    wanted = Wanted(trades, clients, servers, between_kills)
    console = Console(width=None if sys.stdout.isatty() else 120)
    findings = _run(wanted, console)
    pace = len(findings.answers) / findings.seconds
    console.print(f"{len(findings.answers):,} trades in {findings.seconds:,.0f} s, {pace:,.0f} a second")
    console.print(f"Killed: {dict(findings.kills)}")
    console.print(f"Attempts: {dict(findings.attempts)}")
    failures = findings.failures(wanted)
    for what in failures:
        console.print(f"[red]Wrong:[/red] {what}")
    if not failures:
        console.print("Each is there exactly once, and its client knows it.")
    raise typer.Exit(1 if failures else 0)


def _run(wanted: Wanted, console: Console) -> Findings:
    columns = (TextColumn("Recording trades"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("trades", total=wanted.trades)
        with throwaway("chaos") as (url, folder):
            return chaos(url, folder, wanted, lambda done: bar.update(task, completed=done))


if __name__ == "__main__":
    end_tidily_on_sigterm()
    app(prog_name="scripts/chaos")
