"""The command line: registers all commands, and reports expected errors."""

import sys

import typer
from rich.markup import escape

from cache.link import CacheUnavailable
from db.candle_import import ImportRejected
from db.errors import DatabaseError
from db.writes.validation import ValidationError
from graph.identity.passwords import InvalidPassword
from graph.persisted import AllowListError
from server.cli import cache, candles, db, explain, keys, predictions, schema, serve, users
from server.cli.terminal import CommandError, errors
from server.jobs.warming import WarmingError
from server.process.serving import stop_on_sigterm
from server.settings import SettingsError

app = typer.Typer(
    help="Candlegraph: a GraphQL API for cryptocurrency candles, predictions with their outcomes, signals and trades.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command("import-candles")(candles.import_candles)
app.command()(predictions.settle)
app.command()(schema.schema)
app.add_typer(cache.app, name="cache")
app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(users.app, name="users")
app.command("explain")(explain.command)

# Expected errors: the message is printed, without a traceback.
EXPECTED = (
    AllowListError,
    CacheUnavailable,
    CommandError,
    DatabaseError,
    ImportRejected,
    SettingsError,
    ValidationError,
    InvalidPassword,
    WarmingError,
)


def main() -> None:
    """Run a command. An expected error is printed on one line, and the process exits with 1."""
    stop_on_sigterm()
    try:
        app()
    except EXPECTED as error:
        errors.print(f"[red]Error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
