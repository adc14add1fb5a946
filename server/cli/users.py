"""candlegraph users: creates, lists, disables and enables users, and resets passwords."""

import sys
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from db.engine import Database
from db.queries import users as queries
from db.writes import users
from graph.identity import passwords
from server.cli.terminal import CommandError, DataDir, console, format_time, run

app = typer.Typer(help="Create, list, disable and enable users.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name, in upper or lower case.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]
# More bytes than the longest password has.
MAX_PASSWORD_BYTES = 4_096


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 50 letters, digits, dots, hyphens or underscores.")],
    email: Annotated[str | None, typer.Option(help="The user's e-mail address.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Give the user all rights.")] = False,
    password_stdin: FromStdin = False,
    data_dir: DataDir = None,
) -> None:
    """Create a user. Prompts for a password: 10 to 200 characters of any kind."""
    # Checked before the prompt, so that no password is typed in vain.
    users.check_username(name)
    if email is not None:
        users.check_email(email)
    password = _password(from_stdin=password_stdin)

    async def work(database: Database) -> None:
        password_hash = await _hash(password)
        async with database.transaction() as connection:
            await users.create(connection, username=name, password_hash=password_hash, email=email, is_admin=admin)

    run(data_dir, work)
    console.print(f"Created the {'administrator' if admin else 'user'} {name}.")


@app.command("list")
def list_(data_dir: DataDir = None) -> None:
    """List all users, with the number of their valid API keys. Times are in UTC."""
    table = Table("name", "e-mail", "role", "keys", "created")
    table.columns[3].justify = "right"
    for user in run(data_dir, lambda database: database.fetch_rows(queries.all_users())):
        role = "administrator" if user.is_admin else "user"
        keys = f"{user.keys if user.is_active else 0:,}"
        state = role if user.is_active else f"{role}, disabled"
        table.add_row(user.username, escape(user.email or ""), state, keys, format_time(user.created_at))
    console.print(table)


@app.command()
def disable(name: Name, data_dir: DataDir = None) -> None:
    """Disable a user: sessions end, and API keys are rejected until the user is enabled again."""

    async def work(database: Database) -> str:
        user = await find_user(database, name)
        async with database.transaction() as connection:
            ended = await users.disable(connection, user.id)
        return f"{user.username} is disabled. {_sessions(ended)}"

    console.print(run(data_dir, work))


@app.command()
def enable(name: Name, data_dir: DataDir = None) -> None:
    """Enable a user that was disabled."""

    async def work(database: Database) -> str:
        user = await find_user(database, name)
        async with database.transaction() as connection:
            await users.enable(connection, user.id)
        return f"{user.username} is enabled."

    console.print(run(data_dir, work))


@app.command()
def reset_password(name: Name, password_stdin: FromStdin = False, data_dir: DataDir = None) -> None:
    """Set a new password for a user and end all sessions. API keys stay valid."""
    password = _password(from_stdin=password_stdin)

    async def work(database: Database) -> str:
        user = await find_user(database, name)
        password_hash = await _hash(password)
        async with database.transaction() as connection:
            ended = await users.set_password(connection, user.id, password_hash)
        return f"The password of {user.username} is changed. {_sessions(ended)}"

    console.print(run(data_dir, work))


async def find_user(database: Database, name: str) -> Any:
    """The row (id, username, is_active) of the user of this name. Raises CommandError."""
    rows = await database.fetch_rows(queries.by_username(name))
    if not rows:
        raise CommandError(f"There is no user {name!r}.")
    return rows[0]


def _sessions(ended: int | None) -> str:
    return "1 session ended." if ended == 1 else f"{ended or 0:,} sessions ended."


def _password(*, from_stdin: bool) -> str:
    """A valid new password. Raises InvalidPassword or CommandError.

    It is never a command-line argument: all users of a machine can see those, and the shell's history stores them.
    """
    password = _read_password() if from_stdin else _prompt_password()
    passwords.check(password)
    if not from_stdin and typer.prompt("Repeat the password", hide_input=True, err=True) != password:
        raise CommandError("The two passwords differ.")
    return password


def _read_password() -> str:
    try:
        return sys.stdin.buffer.readline(MAX_PASSWORD_BYTES).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CommandError("The password on standard input is not in UTF-8.") from None


def _prompt_password() -> str:
    if not sys.stdin.isatty():
        raise CommandError("There is no terminal to prompt for a password: use --password-stdin.")
    password: str = typer.prompt("Password", hide_input=True, err=True)
    return password


async def _hash(password: str) -> str:
    with closing(passwords.Passwords()) as hashing:
        return await hashing.hash(password)
