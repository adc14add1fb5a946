"""The command line of scripts/soak."""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from db import migrate
from db.embedded import EmbeddedPostgres
from db.engine import Database
from tests.conftest import create_database
from tests.soak.findings import Findings
from tests.soak.report import table
from tests.soak.run import Wanted, soak

SHOWN = 5
app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    seconds: Annotated[float, typer.Option(help="How long to go on.", min=1)] = 60,
    hard: Annotated[bool, typer.Option("--hard", help="Now and then, servers cannot hear of changes either.")] = False,
) -> None:
    """Three servers answer while others write, and Redis fails in all ways that we know: is any answer out of date?

    All run here, on a PostgreSQL and a Redis of their own, and are ended whatever happens.
    """
    console = Console(width=None if sys.stdout.isatty() else 120)
    findings = _run(Wanted(seconds=seconds, hard=hard), console)
    console.print(table(findings))
    wrong = findings.failures() + findings.shortfalls()
    for what in wrong[:SHOWN]:
        console.print(f"[red]Wrong:[/red] {escape(what)}", soft_wrap=True)
    if len(wrong) > SHOWN:
        console.print(f"… and {len(wrong) - SHOWN:,} more")
    raise typer.Exit(1 if wrong else 0)


def _run(wanted: Wanted, console: Console) -> Findings:
    with tempfile.TemporaryDirectory(prefix="candlegraph-", ignore_cleanup_errors=True) as folder:
        embedded = EmbeddedPostgres(Path(folder))
        with console.status("Creating a PostgreSQL …") as status:
            try:
                server = embedded.open()
                url = asyncio.run(create_database(server, "soak"))
                asyncio.run(_migrated(Database(url, pool_size=1)))
                return soak(url, Path(folder), wanted, status.update)
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
    app(prog_name="scripts/soak")
