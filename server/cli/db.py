"""candlegraph db: migrates, checks, cleans and empties the database."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Table

from db import maintenance, migrate, rollups
from server.cli.terminal import DataDir, console, run

app = typer.Typer(help="Migrate, check, clean and empty the database.", no_args_is_help=True)
Days = Annotated[int, typer.Option(min=1, max=36_500, help="Days to keep; older rows are deleted.")]


@app.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Revision to upgrade to.")] = "head", data_dir: DataDir = None
) -> None:
    """Run migrations, by default all that have not run yet."""
    run(data_dir, lambda database: migrate.upgrade(database, revision), needs_tables=False)
    current(data_dir)


@app.command(context_settings={"ignore_unknown_options": True})
def downgrade(
    revision: Annotated[str, typer.Argument(help='Revision to downgrade to, such as -1 or "base" (no tables).')],
    data_dir: DataDir = None,
) -> None:
    """Undo migrations. Data in dropped tables and columns is lost."""
    run(data_dir, lambda database: migrate.downgrade(database, revision), needs_tables=False)
    current(data_dir)


@app.command()
def current(data_dir: DataDir = None) -> None:
    """Show the revision of the database."""
    revision = run(data_dir, migrate.current, needs_tables=False)
    state = "up to date" if revision == migrate.head() else f"the newest is {migrate.head()}"
    console.print(f"{revision or 'no tables'} ({state})")


@app.command()
def revision(
    message: Annotated[str, typer.Argument(help="Short description of the change.")], data_dir: DataDir = None
) -> None:
    """For developers: generate a migration from the differences between the models and the database."""
    run(data_dir, lambda database: migrate.new_revision(database, message))


@app.command()
def stats(data_dir: DataDir = None) -> None:
    """Show the rows and the size of each table."""
    table = Table("table", "rows", "size")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in run(data_dir, maintenance.stats):
        table.add_row(row.table, f"{row.rows:,}", f"{row.bytes / 2**20:,.1f} MiB")
    console.print(table)


@app.command()
def verify(data_dir: DataDir = None) -> None:
    """Check rules that no constraint can enforce. Exits with 1 if one is violated."""
    checks = run(data_dir, maintenance.verify)
    for check in checks:
        console.print(
            f"{'ok   ' if check.violations == 0 else 'WRONG'}  {check.condition}"
            + (f" ({check.violations:,} violations)" if check.violations else "")
        )
    raise typer.Exit(int(any(check.violations for check in checks)))


@app.command()
def rebuild_rollups(data_dir: DataDir = None) -> None:
    """Rebuild the hourly and daily candles of all coins, as is needed after a restore without triggers."""
    coins = run(data_dir, rollups.rebuild)
    console.print(f"The rollups of {coins:,} coins are rebuilt.")


@app.command()
def clean(
    candles_days: Days = 90,
    sentiment_days: Days = 30,
    apply: Annotated[bool, typer.Option("--apply", help="Delete; without this option, only count.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Delete candles and sentiment past their retention. Without --apply, they are only counted.

    Also deletes sessions that ended 30 days ago or earlier, and idempotency keys after 7 days.
    """
    cleaned = run(
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
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False, data_dir: DataDir = None
) -> None:
    """Empty the database: all rows are lost."""
    if not yes:
        typer.confirm("This deletes all data in the database. Continue?", abort=True)
    run(data_dir, maintenance.reset, needs_tables=False)
    console.print("The database is empty.")
