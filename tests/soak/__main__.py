"""The command line of scripts/soak."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tests.soak.findings import Findings
from tests.soak.report import table
from tests.soak.run import Wanted, soak
from tests.throwaway import interrupt_on_sigterm, throwaway

SHOWN = 5
app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    seconds: Annotated[float, typer.Option(help="How long to go on.", min=1)] = 60,
    hard: Annotated[bool, typer.Option("--hard", help="Now and then, servers cannot receive changes either.")] = False,
) -> None:
    """Three servers answer while clients write and Redis fails in all known ways: is any answer stale?

    All run on this machine, with a separate PostgreSQL and Redis, and are stopped in any case.
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
    with console.status("Creating a PostgreSQL …") as status, throwaway("soak") as (url, folder):
        return soak(url, folder, wanted, status.update)


if __name__ == "__main__":
    interrupt_on_sigterm()
    app(prog_name="scripts/soak")
