"""candlegraph keys: API keys, by which programs sign in as a user."""

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from db.engine import Database
from db.queries import api_keys as queries
from db.writes import api_keys
from graph.identity.api_keys import PREFIX_LENGTH, ApiKey
from graph.identity.scopes import Scope
from server.cli.terminal import CommandError, DataDir, console, errors, shown_time
from server.cli.users import found
from server.process.startup import with_database
from server.settings import read_settings

app = typer.Typer(help="Look after API keys, by which programs sign in.", no_args_is_help=True)
Result = TypeVar("Result")


def _with(data_dir: Path | None, work: Callable[[Database], Awaitable[Result]]) -> Result:
    return with_database(read_settings(data_dir=data_dir), errors, work)


@app.command()
def create(
    user: Annotated[str, typer.Argument(metavar="USER", help="Name of the user whom the key acts for.")],
    name: Annotated[str, typer.Option(help="What the key is for, such as the program that has it.")],
    scope: Annotated[
        list[Scope],
        typer.Option(
            case_sensitive=False,
            help="What it allows; may be given more than once. WRITE includes READ, and ADMIN includes both.",
        ),
    ],
    days: Annotated[int, typer.Option(min=0, max=3_650, help="Days until it expires; 0 for never.")] = 90,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, which happens this once: only its hash is stored. Standard output has nothing else."""
    key = ApiKey.new()
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None

    async def work(database: Database) -> None:
        owner = await found(database, user)
        if not owner.is_active:
            raise CommandError(f"{owner.username} is disabled.")
        async with database.transaction() as connection:
            await api_keys.create(
                connection,
                owner.id,
                name=name,
                prefix=key.prefix,
                key_hash=key.hash,
                scopes=[one.name for one in scope],
                expires_at=expires_at,
            )

    _with(data_dir, work)
    errors.print(f"Keep it now. Its prefix is {key.prefix}; it expires: {shown_time(expires_at)}.")
    sys.stdout.write(key.text + "\n")


@app.command("list")
def list_(
    user: Annotated[str | None, typer.Argument(metavar="[USER]", help="Only the keys of this user.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Show keys, by their prefixes. Times are in UTC."""

    async def work(database: Database) -> list[Any]:
        owner = None if user is None else (await found(database, user)).username
        return await database.fetch_rows(queries.for_username(owner))

    table = Table("prefix", "user", "name", "scopes", "expires", "last used", "state")
    for key in _with(data_dir, work):
        times = shown_time(key.expires_at), shown_time(key.last_used_at)
        table.add_row(key.prefix, key.username, escape(key.name), ", ".join(key.scopes), *times, _state(key))
    console.print(table)


def _state(key: Any) -> str:
    if key.revoked_at is not None:
        return f"revoked {shown_time(key.revoked_at)}"
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        return "expired"
    return "good" if key.is_active else "its user is disabled"


@app.command()
def revoke(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="The key's prefix, as the list shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke a key: from now on nobody signs in by it."""
    # As it stands in a key, too.
    wanted = prefix.removeprefix("cg_")[:PREFIX_LENGTH]

    async def work(database: Database) -> bool:
        async with database.transaction() as connection:
            return await api_keys.revoke_by_prefix(connection, wanted)

    if not (wanted.isascii() and wanted.isalnum() and _with(data_dir, work)):
        raise CommandError("There is no key of this prefix, or it is revoked already.")
    console.print(f"The key {wanted} is revoked.")
