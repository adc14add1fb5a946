"""Requests in files: operations in GraphQL, and requests in JSON as clients send them."""

from collections.abc import Iterator
from pathlib import Path

import orjson
from graphql import GraphQLError, NonNullTypeNode, OperationDefinitionNode, parse

from graph.limits import USUAL
from graph.request import GraphQLRequest
from server.http.request_parsing import RequestError
from server.jobs.warming import Asked, WarmingError, read_body

GRAPHQL = {".graphql", ".gql"}


async def requests_in(file: Path) -> list[Asked]:
    """The requests in a file: operations that need no variables, an object or a list in JSON, an object in each line.

    Raises WarmingError, which says where.
    """
    text = _text_in(file)
    if file.suffix in GRAPHQL:
        return _operations(file, text)
    return [await _request(where, sent) for where, sent in _objects(file, text)]


def _text_in(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WarmingError(f"{file} is not in UTF-8.") from None
    except OSError as error:
        raise WarmingError(f"{file} cannot be read: {error.strerror}.") from None


def _operations(file: Path, text: str) -> list[Asked]:
    try:
        nodes = parse(text, max_tokens=USUAL.limits.tokens).definitions
    except GraphQLError as error:
        line = f", line {error.locations[0].line}" if error.locations else ""
        raise WarmingError(f"{file}{line}: {error.message}") from None
    operations = [node for node in nodes if isinstance(node, OperationDefinitionNode) and not _needs_variables(node)]
    names = [operation.name.value if operation.name else None for operation in operations]
    return [Asked(f"{file}, {name}" if name else str(file), GraphQLRequest(text, {}, name)) for name in names]


def _needs_variables(operation: OperationDefinitionNode) -> bool:
    return any(
        isinstance(variable.type, NonNullTypeNode) and variable.default_value is None
        for variable in operation.variable_definitions or ()
    )


def _objects(file: Path, text: str) -> Iterator[tuple[str, object]]:
    """Each request, and where it is."""
    if file.suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"{file}, line {number}", _json(f"{file}, line {number}", line)
        return
    sent = _json(str(file), text)
    if not isinstance(sent, list):
        yield str(file), sent
        return
    for number, one in enumerate(sent, 1):
        yield f"{file}, request {number}", one


def _json(where: str, text: str) -> object:
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WarmingError(f"{where}: this is not valid JSON: {error.msg}.") from None
    return found


async def _request(where: str, sent: object) -> Asked:
    try:
        request = await read_body(orjson.dumps(sent))
    except RequestError as error:
        raise WarmingError(f"{where}: {error}") from None
    return Asked(f"{where}, {request.name}" if request.name else where, request)
