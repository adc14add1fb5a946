"""candlegraph keys: creates, lists and revokes API keys, with which programs authenticate as a user."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from db.engine import Database
from db.queries import api_keys as queries
from db.writes import api_keys
from graph.identity.api_keys import PREFIX_LENGTH, ApiKey
from graph.identity.scopes import Scope
from server.cli.terminal import CommandError, DataDir, console, errors, format_time, run
from server.cli.users import find_user

app = typer.Typer(help="Create, list and revoke API keys, with which programs authenticate.", no_args_is_help=True)


@app.command()
def create(
    user: Annotated[str, typer.Argument(metavar="USER", help="Name of the user that the key authenticates.")],
    name: Annotated[str, typer.Option(help="Purpose of the key, such as the program that uses it.")],
    scope: Annotated[
        list[Scope],
        typer.Option(
            case_sensitive=False,
            help="Scope of the key; may be given more than once. WRITE includes READ, and ADMIN includes both.",
        ),
    ],
    days: Annotated[int, typer.Option(min=0, max=3_650, help="Days until it expires; 0 for never.")] = 90,
    data_dir: DataDir = None,
) -> None:
    """Create a key. Prints nothing but the key on standard output, once: only its hash is stored."""
    key = ApiKey.new()
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None

    async def work(database: Database) -> None:
        owner = await find_user(database, user)
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

    run(data_dir, work)
    errors.print(f"Store the key now. Its prefix is {key.prefix}; it expires: {format_time(expires_at)}.")
    sys.stdout.write(key.text + "\n")


@app.command("list")
def list_(
    user: Annotated[str | None, typer.Argument(metavar="[USER]", help="Only the keys of this user.")] = None,
    data_dir: DataDir = None,
) -> None:
    """List keys with their prefixes. Times are in UTC."""

    async def work(database: Database) -> list[Any]:
        owner = None if user is None else (await find_user(database, user)).username
        return await database.fetch_rows(queries.for_username(owner))

    table = Table("prefix", "user", "name", "scopes", "expires", "last used", "state")
    for key in run(data_dir, work):
        times = format_time(key.expires_at), format_time(key.last_used_at)
        table.add_row(key.prefix, key.username, escape(key.name), ", ".join(key.scopes), *times, _state(key))
    console.print(table)


def _state(key: Any) -> str:
    if key.revoked_at is not None:
        return f"revoked {format_time(key.revoked_at)}"
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        return "expired"
    return "valid" if key.is_active else "user disabled"


@app.command()
def revoke(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="The key's prefix, as `keys list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke a key: requests with it are rejected from now on."""
    # The prefix may be given as it is part of a key.
    wanted = prefix.removeprefix("cg_")[:PREFIX_LENGTH]

    async def work(database: Database) -> bool:
        async with database.transaction() as connection:
            return await api_keys.revoke_by_prefix(connection, wanted)

    if not (wanted.isascii() and wanted.isalnum() and run(data_dir, work)):
        raise CommandError("There is no key with this prefix, or it is revoked already.")
    console.print(f"The key {wanted} is revoked.")
