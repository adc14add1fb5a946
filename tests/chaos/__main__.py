"""The command line of scripts/chaos."""

import asyncio
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from db import migrate
from db.embedded import EmbeddedPostgres
from db.engine import Database
from tests.chaos.run import Findings, Wanted, chaos
from tests.conftest import create_database

SHOWN = 5
app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    trades: Annotated[int, typer.Option(help="How many trades to record.", min=1)] = 10_000,
    clients: Annotated[int, typer.Option(help="How many record them at once.", min=1, max=10_000)] = 100,
    seconds: Annotated[float, typer.Option(help="For how long at most.", min=1)] = 900,
) -> None:
    """Clients record trades, and repeat what was not answered, while servers are killed: is each there exactly once?

    All run here, on loopback and a PostgreSQL of their own, and are ended whatever happens.
    """
    console = Console(width=None if sys.stdout.isatty() else 120)
    findings = _run(Wanted(trades=trades, clients=clients, most_seconds=seconds), console)
    kills = ", ".join(f"{count} by {how}" for how, count in findings.kills.items()) or "none"
    again = ", ".join(f"{count:,} {why}" for why, count in findings.again.most_common()) or "nothing"
    console.print(
        f"{findings.rows:,} trades in {findings.seconds:.0f} s. Servers killed: {kills}. Tried again: {again}."
    )
    for what in findings.wrong[:SHOWN]:
        console.print(f"[red]Wrong:[/red] {escape(what)}", soft_wrap=True)
    if len(findings.wrong) > SHOWN:
        console.print(f"… and {len(findings.wrong) - SHOWN:,} more")
    raise typer.Exit(1 if findings.wrong else 0)


def _run(wanted: Wanted, console: Console) -> Findings:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="candlegraph-", ignore_cleanup_errors=True) as folder,
        Progress(*columns, console=console) as progress,
    ):
        task = progress.add_task("Starting", total=wanted.trades)

        def tell(answered: int, kills: Counter[str]) -> None:
            progress.update(task, completed=answered, description=f"Recording trades, {kills.total()} servers killed")

        embedded = EmbeddedPostgres(Path(folder))
        try:
            url = asyncio.run(create_database(embedded.open(), "chaos"))
            asyncio.run(_migrated(Database(url, pool_size=1)))
            return chaos(url, Path(folder), wanted, tell)
        finally:
            embedded.close()


async def _migrated(database: Database) -> None:
    try:
        await migrate.upgrade(database)
    finally:
        await database.close()


def _stop(_signal: int, _frame: object) -> None:
    # As Ctrl-C does: what was started is ended on the way out.
    signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    app(prog_name="scripts/chaos")
