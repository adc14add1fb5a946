"""candlegraph db: looking after the database."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from db import maintenance, migrate, rollups
from db.engine import Database
from server.cli.terminal import DataDir, console, errors
from server.process.startup import with_database
from server.settings import read_settings

app = typer.Typer(help="Look after the database.", no_args_is_help=True)
Result = TypeVar("Result")
Days = Annotated[int, typer.Option(min=1, max=36_500, help="Keep this many days.")]


def _with(data_dir: Path | None, work: Callable[[Database], Awaitable[Result]], *, needs_tables: bool = True) -> Result:
    return with_database(read_settings(data_dir=data_dir), errors, work, needs_tables=needs_tables)


@app.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Revision to go up to.")] = "head", data_dir: DataDir = None
) -> None:
    """Bring the tables up to date."""
    _with(data_dir, lambda database: migrate.upgrade(database, revision), needs_tables=False)
    current(data_dir)


@app.command(context_settings={"ignore_unknown_options": True})
def downgrade(
    revision: Annotated[str, typer.Argument(help='Revision to go down to, such as -1 or "base" (no tables at all).')],
    data_dir: DataDir = None,
) -> None:
    """Undo migrations; data in the tables that go is lost."""
    _with(data_dir, lambda database: migrate.downgrade(database, revision), needs_tables=False)
    current(data_dir)


@app.command()
def current(data_dir: DataDir = None) -> None:
    """Show the revision that the database is at."""
    revision = _with(data_dir, migrate.current, needs_tables=False)
    state = "up to date" if revision == migrate.head() else f"the newest is {migrate.head()}"
    console.print(f"{revision or 'no tables'} ({state})")


@app.command()
def revision(
    message: Annotated[str, typer.Argument(help="What changes, in a few words.")], data_dir: DataDir = None
) -> None:
    """For developers: write a migration that takes the database to what the models say."""
    _with(data_dir, lambda database: migrate.new_revision(database, message))


@app.command()
def stats(data_dir: DataDir = None) -> None:
    """Show the rows and the size of each table."""
    table = Table("table", "rows", "size")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in _with(data_dir, maintenance.stats):
        table.add_row(row.table, f"{row.rows:,}", f"{row.bytes / 2**20:,.1f} MiB")
    console.print(table)


@app.command()
def verify(data_dir: DataDir = None) -> None:
    """Check what the constraints of single rows cannot hold; ends with 1 if something is wrong."""
    checks = _with(data_dir, maintenance.verify)
    for check in checks:
        console.print(
            f"{'ok   ' if check.violations == 0 else 'WRONG'}  {check.condition}"
            + (f" ({check.violations:,} do not)" if check.violations else "")
        )
    raise typer.Exit(int(any(check.violations for check in checks)))


@app.command()
def rebuild_rollups(data_dir: DataDir = None) -> None:
    """Put the hours and days of all coins together anew, as after a restore without triggers."""
    coins = _with(data_dir, rollups.rebuild)
    console.print(f"The rollups of {coins:,} coins are rebuilt.")


@app.command()
def clean(
    candles_days: Days = 90,
    sentiment_days: Days = 30,
    apply: Annotated[bool, typer.Option("--apply", help="Delete; without it, only count.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Delete candles and sentiment past their retention. Only counts, unless told to apply.

    Sessions that have been over for 30 days go too, and answers that were kept for repeated writes, after 7 days.
    """
    cleaned = _with(
        data_dir,
        lambda database: maintenance.clean(
            database,
            candles=timedelta(days=candles_days),
            sentiment=timedelta(days=sentiment_days),
            dry_run=not apply,
        ),
    )
    verb = "deleted" if apply else "would be deleted (--apply deletes them)"
    console.print(
        f"{cleaned.candles:,} candles, {cleaned.sentiment:,} sentiment rows, {cleaned.sessions:,} sessions and "
        f"{cleaned.idempotency_keys:,} idempotency keys {verb}"
    )


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, data_dir: DataDir = None) -> None:
    """Empty the database: every row is lost."""
    if not yes:
        typer.confirm("This deletes everything in the database. Go on?", abort=True)
    _with(data_dir, maintenance.reset, needs_tables=False)
    console.print("The database is empty.")
