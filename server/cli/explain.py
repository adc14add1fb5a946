"""candlegraph explain: the statement of a query, what its answer depends on, and PostgreSQL's plan."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from graphql import GraphQLError

from db.engine import Database, driver_url
from db.explain import explain as explain_statement
from graph.documents import DocumentRejected
from graph.explanation import Explanation, NoPlan, explain, shown
from graph.identity.callers import Caller
from graph.identity.scopes import Scope
from graph.request import GraphQLRequest
from graph.schema import create_schema
from graph.sql_format import formatted
from server.app import open_pipeline
from server.cli.terminal import CommandError, DataDir, console, errors
from server.logging import configure_logging
from server.process.startup import with_database
from server.settings import Settings, read_settings

# Nothing connects to it: without --analyze, no statement runs.
NO_DATABASE = "postgresql://nowhere"


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A query, in GraphQL.")],
    variables: Annotated[str, typer.Option(help="Variables: a JSON object, or @FILE.")] = "{}",
    operation: Annotated[str | None, typer.Option(help="Name of the operation, if the file holds several.")] = None,
    user: Annotated[int | None, typer.Option(help="Id of the user that sends the query.  [default: anonymous]")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Whether the user is an administrator.")] = False,
    analyze: Annotated[bool, typer.Option("--analyze", help="Run the statement; show PostgreSQL's plan.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show how a query is answered: statement, parameters, tags, lifetime in the cache, and cost.

    Unless AUTH_MODE=required, every caller sees all rows, as with serve on a loopback address. Without --analyze, no
    database is needed.
    """
    configure_logging("ERROR")
    settings = read_settings(data_dir=data_dir)
    is_open = _is_open(settings)
    caller = Caller(user, frozenset(Scope if is_open else {Scope.READ}), sees_all=is_open or admin)
    request = GraphQLRequest(_text_in(file), _variables(variables), operation, caller=caller)
    if analyze:
        found, lines = with_database(settings, errors, lambda database: _analyze(settings, database, request, file))
    else:
        found, lines = asyncio.run(_explain(settings, request, file)), []
    (_print_json if as_json else _print)(found, lines)


def _is_open(settings: Settings) -> bool:
    """Whether every caller sees all rows; without AUTH_MODE, as with serve on a loopback address."""
    return settings.is_open or (settings.auth_mode is None and not settings.is_production)


async def _explain(settings: Settings, request: GraphQLRequest, file: Path) -> Explanation:
    database = Database(driver_url(NO_DATABASE))
    try:
        return await _explained(settings, database, request, file)
    finally:
        await database.close()


async def _analyze(
    settings: Settings, database: Database, request: GraphQLRequest, file: Path
) -> tuple[Explanation, list[str]]:
    found = await _explained(settings, database, request, file)
    if found.statement is None:
        return found, []
    viewer = None if _is_open(settings) else found.viewer
    return found, await explain_statement(database, found.statement, found.parameters, viewer=viewer)


async def _explained(settings: Settings, database: Database, request: GraphQLRequest, file: Path) -> Explanation:
    """Raises CommandError."""
    context, _ = open_pipeline(settings, database)
    try:
        return explain(create_schema(), context, request)
    except DocumentRejected as rejection:
        raise CommandError(_located(file, rejection.errors[0])) from None
    except NoPlan as error:
        raise CommandError(f"{file}: {error}") from None
    finally:
        context.accounts.passwords.close()
        await context.cache.close()


def _located(file: Path, error: GraphQLError) -> str:
    line = f", line {error.locations[0].line}" if error.locations else ""
    return f"{file}{line}: {error.message}"


def _text_in(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not in UTF-8.") from None
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None


def _variables(given: str) -> dict[str, Any]:
    text = _text_in(Path(given[1:])) if given.startswith("@") else given
    try:
        variables = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"The variables are not valid JSON: {error.msg}.") from None
    if not isinstance(variables, dict):
        raise CommandError("The variables must be a JSON object.")
    return variables


def _print(found: Explanation, lines: Sequence[str]) -> None:
    parts = [_statement(found)]
    if found.executed_fields:
        parts.append(f"Executed beside the statement: {', '.join(found.executed_fields)}")
    parts.append(f"{_stored(found)}\nCost: {found.cost:,g} points at most")
    if lines:
        parts.append("\n".join(lines))
    console.print("\n\n".join(parts), markup=False, soft_wrap=True)


def _statement(found: Explanation) -> str:
    if found.statement is None:
        return "No statement: no root field is a row."
    parameters = "\n".join(f"  ${number}  {shown(value)}" for number, value in enumerate(found.parameters, 1))
    return f"{formatted(found.statement)}\n\nParameters:\n{parameters or '  none'}"


def _stored(found: Explanation) -> str:
    audience = "private" if found.is_private else "public"
    if found.tier is None:
        return f"The answer is not stored ({audience})."
    tags = "\n".join(f"  {tag}" for tag in found.tags)
    lifetime = f"up to {found.lifetime_seconds:,g} s"
    return f"Depends on:\n{tags}\n\nStored in tier {found.tier} ({audience}), {lifetime}"


def _print_json(found: Explanation, lines: Sequence[str]) -> None:
    shown = {re.sub(r"_(\w)", lambda match: match[1].upper(), key): value for key, value in found._asdict().items()}
    shown |= {"plan": list(lines)} if lines else {}
    console.print(orjson.dumps(shown, str, orjson.OPT_INDENT_2).decode(), markup=False, soft_wrap=True)
