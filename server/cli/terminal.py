"""Shared by the commands: consoles, the option --data-dir, running work on the configured database, and formats."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from db.engine import Database
from server.process.startup import with_database
from server.settings import read_settings

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
Result = TypeVar("Result")

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the embedded PostgreSQL.  [default: .candlegraph]", show_default=False),
]


class CommandError(Exception):
    """The command cannot be run as given; the message is for the user of the command line."""


def run(data_dir: Path | None, work: Callable[[Database], Awaitable[Result]], *, needs_tables: bool = True) -> Result:
    """Run the work on the configured database, see with_database(). Raises SettingsError, and what the work raises."""
    return with_database(read_settings(data_dir=data_dir), errors, work, needs_tables=needs_tables)


def format_time(time: datetime | None, otherwise: str = "never") -> str:
    """The time in UTC, to the minute."""
    return otherwise if time is None else f"{time:%Y-%m-%d %H:%M}"
