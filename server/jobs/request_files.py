"""Reads requests from files: operations in GraphQL, and requests in JSON as clients send them."""

from collections.abc import Iterator
from pathlib import Path

import orjson
from graphql import GraphQLError, NonNullTypeNode, OperationDefinitionNode, parse

from graph.limits import USUAL
from graph.request import GraphQLRequest
from server.http.request_parsing import RequestError
from server.jobs.recording import NamedRequest, read_request
from server.jobs.warming import WarmingError

GRAPHQL = {".graphql", ".gql"}


async def requests_in(file: Path) -> list[NamedRequest]:
    """The requests in a file: operations without required variables, a JSON object or list, or a JSON object per line.

    Raises WarmingError, which names the place in the file.
    """
    text = _text_in(file)
    if file.suffix in GRAPHQL:
        return _operations(file, text)
    return [await _request(place, content) for place, content in _objects(file, text)]


def _text_in(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WarmingError(f"{file} is not in UTF-8.") from None
    except OSError as error:
        raise WarmingError(f"{file} cannot be read: {error.strerror}.") from None


def _operations(file: Path, text: str) -> list[NamedRequest]:
    try:
        nodes = parse(text, max_tokens=USUAL.limits.tokens).definitions
    except GraphQLError as error:
        line = f", line {error.locations[0].line}" if error.locations else ""
        raise WarmingError(f"{file}{line}: {error.message}") from None
    operations = [node for node in nodes if isinstance(node, OperationDefinitionNode) and not _needs_variables(node)]
    names = [operation.name.value if operation.name else None for operation in operations]
    return [NamedRequest(f"{file}, {name}" if name else str(file), GraphQLRequest(text, {}, name)) for name in names]


def _needs_variables(operation: OperationDefinitionNode) -> bool:
    return any(
        isinstance(variable.type, NonNullTypeNode) and variable.default_value is None
        for variable in operation.variable_definitions or ()
    )


def _objects(file: Path, text: str) -> Iterator[tuple[str, object]]:
    """The place and the content of each request."""
    if file.suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"{file}, line {number}", _json(f"{file}, line {number}", line)
        return
    content = _json(str(file), text)
    if not isinstance(content, list):
        yield str(file), content
        return
    for number, one in enumerate(content, 1):
        yield f"{file}, request {number}", one


def _json(place: str, text: str) -> object:
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WarmingError(f"{place}: this is not valid JSON: {error.msg}.") from None
    return value


async def _request(place: str, content: object) -> NamedRequest:
    try:
        request = await read_request(orjson.dumps(content))
    except RequestError as error:
        raise WarmingError(f"{place}: {error}") from None
    return NamedRequest(f"{place}, {request.name}" if request.name else place, request)
