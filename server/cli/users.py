"""candlegraph users: who may sign in."""

import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from db.engine import Database
from db.queries import users as queries
from db.writes import users
from graph.identity import passwords
from server.cli.terminal import CommandError, DataDir, console, errors, shown_time
from server.process.startup import with_database
from server.settings import read_settings

app = typer.Typer(help="Look after users.", no_args_is_help=True)
Result = TypeVar("Result")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name; capitals do not matter.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, the first line of it.")
]
# More than any password has bytes.
MOST_BYTES = 4_096


def _with(data_dir: Path | None, work: Callable[[Database], Awaitable[Result]]) -> Result:
    return with_database(read_settings(data_dir=data_dir), errors, work)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 50 letters, digits, dots, hyphens or underscores.")],
    email: Annotated[str | None, typer.Option(help="The user's address.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Let the user see and do everything.")] = False,
    password_stdin: FromStdin = False,
    data_dir: DataDir = None,
) -> None:
    """Create a user. Asks for a password: 10 to 200 characters of any kind."""
    # Before a password is thought up for nothing.
    users.check_username(name)
    if email is not None:
        users.check_email(email)
    password = _password(from_stdin=password_stdin)

    async def work(database: Database) -> None:
        password_hash = await _hashed(password)
        async with database.transaction() as connection:
            await users.create(connection, username=name, password_hash=password_hash, email=email, is_admin=admin)

    _with(data_dir, work)
    console.print(f"{name} is {'an administrator' if admin else 'a user'} now.")


@app.command("list")
def list_(data_dir: DataDir = None) -> None:
    """Show all users, and how many API keys each can use. Times are in UTC."""
    table = Table("name", "address", "role", "keys", "created")
    table.columns[3].justify = "right"
    for user in _with(data_dir, lambda database: database.fetch_rows(queries.all_users())):
        role = "administrator" if user.is_admin else "user"
        keys = f"{user.keys if user.is_active else 0:,}"
        state = role if user.is_active else f"{role}, disabled"
        table.add_row(user.username, escape(user.email or ""), state, keys, shown_time(user.created_at))
    console.print(table)


@app.command()
def disable(name: Name, data_dir: DataDir = None) -> None:
    """Let a user sign in no more: sessions end, and API keys are good for nothing until the user is enabled."""

    async def work(database: Database) -> str:
        user = await found(database, name)
        async with database.transaction() as connection:
            ended = await users.disable(connection, user.id)
        return f"{user.username} is disabled. {_sessions(ended)}"

    console.print(_with(data_dir, work))


@app.command()
def enable(name: Name, data_dir: DataDir = None) -> None:
    """Let a user who was disabled sign in again."""

    async def work(database: Database) -> str:
        user = await found(database, name)
        async with database.transaction() as connection:
            await users.enable(connection, user.id)
        return f"{user.username} is enabled."

    console.print(_with(data_dir, work))


@app.command()
def reset_password(name: Name, password_stdin: FromStdin = False, data_dir: DataDir = None) -> None:
    """Give a user another password, and end all sessions. API keys stay."""
    password = _password(from_stdin=password_stdin)

    async def work(database: Database) -> str:
        user = await found(database, name)
        password_hash = await _hashed(password)
        async with database.transaction() as connection:
            ended = await users.set_password(connection, user.id, password_hash)
        return f"{user.username} has another password. {_sessions(ended)}"

    console.print(_with(data_dir, work))


async def found(database: Database, name: str) -> Any:
    """The row (id, username, is_active) of the user of this name. Raises CommandError."""
    rows = await database.fetch_rows(queries.by_username(name))
    if not rows:
        raise CommandError(f"There is no user {name!r}.")
    return rows[0]


def _sessions(ended: int | None) -> str:
    return "1 session is ended." if ended == 1 else f"{ended or 0:,} sessions are ended."


def _password(*, from_stdin: bool) -> str:
    """A password that somebody may choose. Raises InvalidPassword or CommandError.

    It is never an argument: everyone on a machine may see those, and a shell keeps them.
    """
    password = _read() if from_stdin else _asked()
    passwords.check(password)
    if not from_stdin and typer.prompt("Once more", hide_input=True, err=True) != password:
        raise CommandError("The two passwords differ.")
    return password


def _read() -> str:
    try:
        return sys.stdin.buffer.readline(MOST_BYTES).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CommandError("The password on standard input is not in UTF-8.") from None


def _asked() -> str:
    if not sys.stdin.isatty():
        raise CommandError("There is no terminal to ask for a password on: use --password-stdin.")
    password: str = typer.prompt("Password", hide_input=True, err=True)
    return password


async def _hashed(password: str) -> str:
    with closing(passwords.Passwords()) as hashing:
        return await hashing.hash(password)
