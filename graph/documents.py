"""Reads a document: parses and validates it, and returns the operation that may be executed."""

import sys
from dataclasses import dataclass
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    ObjectFieldNode,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.validation import NoSchemaIntrospectionCustomRule

from graph.compiler.cost import Cost, TooManySelections
from graph.compiler.variables import Variables
from graph.errors import MAX_ERRORS, SELECTS_TOO_MUCH
from graph.graphql_core_compat import is_document_too_long, is_validation_aborted, limit_field_comparisons
from graph.limits import USUAL, Limits, OverLimit, Rules, check

# The budget for comparing fields of the same name: a hundredth of graphql-core's own, which takes seconds.
limit_field_comparisons(2_000)
SHOWING_SCHEMA = specified_rules
HIDING_SCHEMA = (*specified_rules, NoSchemaIntrospectionCustomRule)
HIDDEN = "The document does not fit the schema."
# Memory of a parsed token, roughly.
TOKEN_BYTES = 350


class DocumentRejected(Exception):
    """The request holds no operation that may be executed. code: of the errors that have none."""

    def __init__(self, code: str, errors: list[GraphQLError]) -> None:
        super().__init__(code)
        self.code = code
        self.errors = errors


class NotAQuery(Exception):
    """The operation is not a query, but only queries are allowed."""


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation of a valid document.

    text: of the document. name: the operationName that was sent. size: its memory in bytes, roughly.
    """

    text: str
    name: str | None
    document: DocumentNode
    node: OperationDefinitionNode
    variables: Variables
    cost: Cost
    size: int

    @property
    def is_query(self) -> bool:
        return self.node.operation is OperationType.QUERY


def read_operation(
    schema: GraphQLSchema, text: str, name: str | None, *, queries_only: bool = False, rules: Rules = USUAL
) -> Operation:
    """The operation with this name; without a name, the only one. Raises DocumentRejected and NotAQuery."""
    document = _parse(text, rules.limits)
    node = _choose(document, name)
    if queries_only and node.operation is not OperationType.QUERY:
        raise NotAQuery
    _check(schema, document, node, rules)
    variables = Variables(schema, node.variable_definitions or ())
    return Operation(
        text,
        name,
        document,
        node,
        variables,
        _cost(schema, document, node),
        document.token_count * TOKEN_BYTES + sys.getsizeof(text),
    )


def _check(schema: GraphQLSchema, document: DocumentNode, node: OperationDefinitionNode, rules: Rules) -> None:
    """Raises DocumentRejected."""
    try:
        check(document, node, rules.limits)
    except OverLimit as error:
        extensions = {"code": "QUERY_TOO_LARGE", "limit": error.what, "allowed": error.allowed}
        raise DocumentRejected("QUERY_TOO_LARGE", [GraphQLError(str(error), extensions=extensions)]) from None
    shows = rules.shows_schema
    validation_rules = SHOWING_SCHEMA if shows else HIDING_SCHEMA
    errors = validate(schema, document, validation_rules, max_errors=MAX_ERRORS, hide_suggestions=not shows)
    if any(map(is_validation_aborted, errors)):
        message = "The operation selects fields of the same names too often to compare them all."
        raise DocumentRejected("QUERY_TOO_LARGE", [GraphQLError(message)])
    if errors and not shows:
        # Even the location of an error would reveal which of many names exist.
        raise DocumentRejected("GRAPHQL_VALIDATION_FAILED", [GraphQLError(HIDDEN)])
    if errors:
        raise DocumentRejected("GRAPHQL_VALIDATION_FAILED", [_with_argument(error, document) for error in errors])


def _cost(schema: GraphQLSchema, document: DocumentNode, node: OperationDefinitionNode) -> Cost:
    """Raises DocumentRejected."""
    try:
        return Cost(schema, document, node)
    except TooManySelections:
        raise DocumentRejected("QUERY_TOO_LARGE", [GraphQLError(SELECTS_TOO_MUCH)]) from None


def _parse(text: str, limits: Limits) -> DocumentNode:
    try:
        return parse(text, max_tokens=limits.tokens, max_comments=limits.comments)
    except GraphQLError as error:
        if is_document_too_long(error):
            extensions = {"code": "QUERY_TOO_LARGE"}
            raise DocumentRejected("QUERY_TOO_LARGE", [GraphQLError(error.message, extensions=extensions)]) from error
        raise DocumentRejected("GRAPHQL_PARSE_FAILED", [error]) from error


def _choose(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    matching = operations if name is None else [node for node in operations if node.name and node.name.value == name]
    if len(matching) == 1:
        return matching[0]
    if name is not None:
        message = f"The document holds no operation named {name[:50]!r}."
    elif operations:
        message = "The document holds several operations: choose one by operationName."
    else:
        message = "The document holds no operation."
    raise DocumentRejected("OPERATION_RESOLUTION_FAILURE", [GraphQLError(message)])


def _with_argument(error: GraphQLError, document: DocumentNode) -> GraphQLError:
    """The error; if it is about a value, with the argument that the value was given to."""
    argument = _argument_of(error.nodes[0], document) if error.nodes else []
    if not argument:
        return error
    extensions = {**(error.extensions or {}), "argument": argument}
    return GraphQLError(error.message, error.nodes, original_error=error.original_error, extensions=extensions)


def _argument_of(value: Node, document: DocumentNode) -> list[str]:
    """The path of the argument that holds a value: ["filter", "timestamp", "from"]; empty for any other node."""
    search = _ArgumentSearch(value)
    visit(document, search)
    return search.found


class _ArgumentSearch(Visitor):
    def __init__(self, value: Node) -> None:
        super().__init__()
        self._value = value
        self.found: list[str] = []

    def enter(self, node: Node, _key: Any, parent: Any, _path: Any, ancestors: list[Any]) -> Any:
        if node is not self._value:
            return None
        holders = [*ancestors, parent]
        self.found = [holder.name.value for holder in holders if isinstance(holder, ArgumentNode | ObjectFieldNode)]
        return self.BREAK
