"""candlegraph import-candles: imports candles from a CSV file."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from db import candle_import
from db.candle_import import MAX_REPORTED_ROWS, BadRows, ImportReport
from db.engine import Database
from graph.types.candles import Interval
from server.cli.terminal import DataDir, console, errors, run


def import_candles(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A CSV file with a header.")],
    symbol: Annotated[str, typer.Option(help="Ticker symbol, such as BTC; the coin is added if it is new.")],
    interval: Annotated[Interval, typer.Option(help="Length of the candles in the file.", case_sensitive=False)],
    name: Annotated[str | None, typer.Option(help="Name of a new coin, such as Bitcoin.")] = None,
    source: Annotated[str, typer.Option(help="Where the candles come from.")] = "csv",
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Import the valid rows of a file that has invalid ones.")
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
            return await candle_import.import_candles(
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
            report = run(data_dir, work)
        except BadRows as error:
            _print_bad_rows(error.report)
            raise
    _print_bad_rows(report)
    console.print(
        f"{symbol.upper()}: {report.inserted:,} inserted, {report.updated:,} updated, "
        f"{report.unchanged:,} unchanged, {report.rejected:,} rejected; {report.settled:,} predictions settled"
    )


def _print_bad_rows(report: ImportReport) -> None:
    for line, reason in report.rejected_rows:
        errors.print(f"line {line}: {reason}", markup=False)
    if report.rejected > MAX_REPORTED_ROWS:
        errors.print(f"… and {report.rejected - MAX_REPORTED_ROWS:,} more", markup=False)
