"""The command line."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from cache.link import CacheUnavailable
from db.candle_import import KEPT_REFUSALS, BadRows, ImportRejected, ImportReport, import_candles
from db.engine import Database
from db.errors import DatabaseError
from db.settle import settle as settle_predictions
from db.writes.validation import ValidationError
from graph.identity.passwords import UnfitPassword
from graph.persisted import AllowListError
from graph.schema import create_schema
from graph.types.candles import Interval
from server.app import trusted_documents
from server.cli import cache, db, keys, users
from server.cli.terminal import CommandError, DataDir, console, errors
from server.http.examples import EXAMPLES
from server.http.exposure import private_address, resolve_exposure
from server.jobs.warming import WarmingError
from server.logging import configure_logging
from server.process.serving import listen, listen_privately, run, stop_on_sigterm
from server.process.startup import connected, postgres, prepare, with_database
from server.settings import SettingsError, read_settings

app = typer.Typer(
    help="Candlegraph: a GraphQL API for cryptocurrency candles, predictions with their outcomes, signals and trades.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(cache.app, name="cache")
app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(users.app, name="users")

# What goes wrong in an expected way: the message is all that there is to tell.
EXPECTED = (
    AllowListError,
    CacheUnavailable,
    CommandError,
    DatabaseError,
    ImportRejected,
    SettingsError,
    ValidationError,
    UnfitPassword,
    WarmingError,
)


def main() -> None:
    """Run a command; what goes wrong in an expected way is told in one line."""
    stop_on_sigterm()
    try:
        app()
    except EXPECTED as error:
        errors.print(f"[red]Error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes that serve.", min=1, max=64)] = 1,
    data_dir: DataDir = None,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Load demo data into an empty database.")] = True,
    insecure_open: Annotated[
        bool,
        typer.Option("--insecure-open", help="Serve with AUTH_MODE=open on an address that others may reach."),
    ] = False,
) -> None:
    """Serve the API and GraphiQL: starts PostgreSQL if none is configured, migrates, and loads demo data if empty."""
    settings = read_settings(data_dir=data_dir)
    configure_logging(settings.level)
    warnings = resolve_exposure(settings, host, insecure_open=insecure_open)
    private = private_address(settings, port)
    # A list that cannot be used is told before anything is started.
    trusted_documents(settings, create_schema())
    config, bound = listen(host, port, workers, settings)
    sockets = [bound] if private is None else [bound, listen_privately(*private)]
    console.print("[bold]Candlegraph[/bold]")
    for warning in warnings:
        console.print(f"  [yellow]{escape(warning)}[/yellow]")
    with postgres(settings, console):
        with_demo = demo and settings.environment != "production"
        asyncio.run(connected(settings, lambda database: prepare(database, console, with_demo=with_demo)))
        _print_invitation(*bound.getsockname()[:2])
        if private is not None:
            console.print(f"  Health and metrics, for whoever reaches it: {_address(*private)}")
        run(config, *sockets)


def _print_invitation(host: str, port: int) -> None:
    console.print("  Three queries to paste:")
    for example in EXAMPLES:
        console.print(example.rstrip(), markup=False, style="dim", soft_wrap=True)
    console.print(f"\n  Ready: [bold]{_address(host, port)}/graphql[/bold] (Ctrl-C stops it)")


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@app.command("import-candles")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A CSV file with a header.")],
    symbol: Annotated[str, typer.Option(help="Ticker symbol, such as BTC; the coin is added if it is new.")],
    interval: Annotated[Interval, typer.Option(help="Length of the candles in the file.", case_sensitive=False)],
    name: Annotated[str | None, typer.Option(help="Name of a new coin, such as Bitcoin.")] = None,
    source: Annotated[str, typer.Option(help="Where the candles come from.")] = "csv",
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Import the valid rows of a file that has others.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Import candles: columns open, high, low, close, volume, and timestamp, time, date or open_time.

    Times are ISO 8601 with an offset, or seconds or milliseconds since 1970. Importing a file again changes nothing.
    """
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=errors, transient=True
    ) as bar:
        task = bar.add_task(f"Importing {file.name}", total=file.stat().st_size)

        async def work(database: Database) -> ImportReport:
            return await import_candles(
                database,
                file,
                symbol=symbol,
                interval=interval.name,
                name=name,
                source=source,
                skip_bad_rows=skip_bad_rows,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )

        try:
            report = with_database(read_settings(data_dir=data_dir), errors, work)
        except BadRows as error:
            _print_refusals(error.report)
            raise
    _print_refusals(report)
    console.print(
        f"{symbol.upper()}: {report.inserted:,} inserted, {report.updated:,} updated, "
        f"{report.unchanged:,} unchanged, {report.refused:,} refused; {report.settled:,} predictions settled"
    )


def _print_refusals(report: ImportReport) -> None:
    for line, reason in report.refusals:
        errors.print(f"line {line}: {reason}", markup=False)
    if report.refused > KEPT_REFUSALS:
        errors.print(f"… and {report.refused - KEPT_REFUSALS:,} more", markup=False)


@app.command()
def settle(
    everything: Annotated[
        bool, typer.Option("--all", help="Check every prediction again, not only what is new or touched lately.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Fill in the actual prices of predictions whose target time has passed."""

    async def work(database: Database) -> int:
        async with database.transaction() as connection:
            return await settle_predictions(connection, everything=everything)

    settled = with_database(read_settings(data_dir=data_dir), errors, work)
    console.print(f"{settled:,} predictions settled")


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    sys.stdout.write(create_schema().as_str() + "\n")
