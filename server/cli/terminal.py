"""What the commands share: where they print, how they refuse, and the option that most of them have."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the embedded PostgreSQL.  [default: .candlegraph]", show_default=False),
]


class CommandError(Exception):
    """What was asked for cannot be done; the message is written for the person who asked."""


def shown_time(time: datetime | None, otherwise: str = "never") -> str:
    """To the minute, in UTC."""
    return otherwise if time is None else f"{time:%Y-%m-%d %H:%M}"
