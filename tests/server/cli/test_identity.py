"""The commands for users and API keys.

Most run in the process of the test, which is faster; test_cli.py runs commands in processes.
"""

import asyncio
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, text
from typer.testing import CliRunner

from db.engine import Database
from db.queries import identities
from graph.identity.api_keys import ApiKey
from graph.identity.passwords import Passwords
from server.cli import main as cli
from server.cli.terminal import console
from tests.conftest import TEMPLATE, create_database

COMMAND = str(Path(sys.executable).with_name("candlegraph"))
PASSWORD, OTHER = "correct horse", "another horse"
TAKEN = "INSERT INTO users (username, password_hash) VALUES ('taken', '!') ON CONFLICT DO NOTHING RETURNING 1"
SESSIONS = "INSERT INTO sessions (user_id, token_hash, expires_at) SELECT user_id, sha256(''), 'infinity' FROM users"


@pytest.fixture(scope="module")
def url(postgres: URL, template: URL) -> URL:
    return asyncio.run(create_database(postgres, "cli_identity", template=TEMPLATE))


@pytest.fixture(autouse=True)
def configured(url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the database in the environment, for commands in this process and in others."""
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "width", 200)


def succeeded(*arguments: str, answer: str | None = None) -> str:
    done = CliRunner().invoke(cli.app, arguments, input=answer)
    assert done.exit_code == 0, done.output
    return done.stdout


def failed(*arguments: str, answer: str | bytes | None = None) -> str:
    done = CliRunner().invoke(cli.app, arguments, input=answer)
    assert isinstance(done.exception, cli.EXPECTED)
    assert done.output == ""
    return str(done.exception)


def at_a_terminal(*arguments: str, typed: list[str]) -> tuple[int, str]:
    """Run a process at a terminal; return its exit code and all that the terminal shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown = b""
        for prompts, line in enumerate(typed, start=1):
            # Text that is typed before the prompt is lost.
            while shown.count(b": ") < prompts:
                shown += read(ours)
            os.write(ours, line.encode() + b"\n")
        while part := read(ours):
            shown += part
        os.close(ours)
        return process.wait(60), shown.decode()


def read(terminal: int) -> bytes:
    assert select.select([terminal], [], [], 30)[0], "no output, and the process has not ended"
    try:
        return os.read(terminal, 1_000)
    except OSError:  # the process has closed the terminal
        return b""


def fetch(url: URL, statement: Any) -> list[Any]:
    async def fetched() -> list[Any]:
        database = Database(url, pool_size=1)
        rows = await database.fetch_rows(text(statement) if isinstance(statement, str) else statement)
        await database.close()
        return rows

    return asyncio.run(fetched())


def has_password(url: URL, password: str) -> bool:
    ((stored,),) = fetch(url, "SELECT password_hash FROM users WHERE username = 'ada'")

    async def verified() -> bool:
        passwords = Passwords()
        verified = await passwords.verify(password, stored)
        passwords.close()
        return verified.ok

    return asyncio.run(verified())


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "│" in line]


def test_users_are_created_disabled_and_enabled(url: URL) -> None:
    create = ["users", "create", "ada", "--email", "ada@x.org", "--password-stdin"]
    assert succeeded(*create, answer=f"{PASSWORD}\nmore") == "Created the user ada.\n"
    assert has_password(url, PASSWORD)
    fetch(url, f"{SESSIONS} RETURNING 1")
    reset = succeeded("users", "reset-password", "ADA", "--password-stdin", answer=OTHER)
    assert reset == "The password of ada is changed. 1 session ended.\n"
    assert has_password(url, OTHER)
    fetch(url, f"{SESSIONS}, generate_series(1, 2) RETURNING 1")
    assert succeeded("users", "disable", "Ada") == "ada is disabled. 2 sessions ended.\n"
    assert [row[:4] for row in cells(succeeded("users", "list"))] == [["ada", "ada@x.org", "user, disabled", "0"]]
    assert succeeded("users", "enable", "ada") == "ada is enabled.\n"
    assert fetch(url, "SELECT is_active, is_admin FROM users") == [(True, False)]


def test_a_password_is_prompted_for_twice_and_never_shown(url: URL) -> None:
    code, shown = at_a_terminal("users", "create", "boss", "--admin", typed=[PASSWORD] * 2)
    assert code == 0, shown
    assert "Created the administrator boss." in shown
    assert "horse" not in shown
    assert fetch(url, "SELECT is_admin FROM users WHERE username = 'boss'") == [(True,)]
    code, shown = at_a_terminal("users", "create", "other", typed=[PASSWORD, OTHER])
    assert code == 1
    assert "The two passwords differ." in shown


def test_keys_are_created_listed_and_revoked(url: URL) -> None:
    fetch(url, "INSERT INTO users (username, password_hash) VALUES ('eve', '!') RETURNING 1")
    create = [COMMAND, "keys", "create", "eve", "--name", "[bot]", "--scope", "WRITE", "--scope", "read"]
    done = subprocess.run(create, capture_output=True, text=True, timeout=60, check=True)
    # Only the key, so that it can be piped.
    key = ApiKey.parse(done.stdout.removesuffix("\n"))
    assert key is not None
    assert f"Its prefix is {key.prefix}" in done.stderr
    assert key.text not in done.stderr
    assert [row.scopes for row in fetch(url, identities.of_api_key(key.hash))] == [["READ", "WRITE"]]
    ((prefix, user, name, scopes, expires, used, state),) = cells(succeeded("keys", "list", "EVE"))
    assert (prefix, user, name, scopes, used, state) == (key.prefix, "eve", "[bot]", "READ, WRITE", "never", "valid")
    assert expires != "never"
    assert succeeded("keys", "revoke", f"cg_{key.prefix}") == f"The key {key.prefix} is revoked.\n"
    assert fetch(url, identities.of_api_key(key.hash)) == []
    assert failed("keys", "revoke", key.prefix) == "There is no key with this prefix, or it is revoked already."
    succeeded("keys", "create", "eve", "--name", "for ever", "--scope", "READ", "--days", "0")
    states = [(row[4], row[6].partition(" ")[0]) for row in cells(succeeded("keys", "list"))]
    assert states == [(expires, "revoked"), ("never", "valid")]


@pytest.mark.parametrize(
    ("command", "answer", "message"),
    [
        ("users create a~b", b"", "A user name has 1 to 50 letters"),
        ("users create x --email x", b"", "This is not an address"),
        ("users create x", b"", "There is no terminal to prompt for a password"),
        ("users create x --password-stdin", b"123456789\r\n", "A password has at least 10 characters."),
        ("users create x --password-stdin", b"\xff" * 12, "The password on standard input is not in UTF-8."),
        ("users create TAKEN --password-stdin", b"123456789 ", "A user named TAKEN already exists."),
        ("users disable nobody", b"", "There is no user 'nobody'."),
        ("users enable nobody", b"", "There is no user 'nobody'."),
        ("users reset-password nobody --password-stdin", b"123456789 ", "There is no user 'nobody'."),
        ("keys create taken --name x --scope ADMIN", b"", "Only keys of administrators"),
        ("keys create nobody --name x --scope READ", b"", "There is no user 'nobody'."),
        ("keys list nobody", b"", "There is no user 'nobody'."),
        ("keys revoke é", b"", "There is no key with this prefix"),
    ],
)
def test_errors_are_reported_in_one_message(url: URL, command: str, answer: bytes, message: str) -> None:
    fetch(url, TAKEN)
    assert failed(*command.split(), answer=answer).startswith(message)


def test_a_disabled_user_gets_no_key(url: URL) -> None:
    fetch(url, TAKEN)
    succeeded("users", "disable", "taken")
    assert failed("keys", "create", "taken", "--name", "x", "--scope", "READ") == "taken is disabled."


def test_help_lists_commands() -> None:
    shown = succeeded("users", "--help")
    assert all(command in shown for command in ("create", "list", "disable", "enable", "reset-password"))
    assert all(command in succeeded("keys", "--help") for command in ("create", "list", "revoke"))
