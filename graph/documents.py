"""What is checked of a document beside GraphQL's own rules, and what is added to the errors that those find."""

from collections.abc import Iterator
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    GraphQLError,
    Node,
    ObjectFieldNode,
    OperationDefinitionNode,
    Visitor,
    visit,
)
from strawberry.extensions import SchemaExtension


class DocumentChecks(SchemaExtension):
    """Refuses to guess which operation is meant, and says of an invalid value which argument it was given to.

    It stands after ValidationCache in the list of extensions, which has validated by then.
    """

    def on_validate(self) -> Iterator[None]:
        execution = self.execution_context
        document = execution.graphql_document
        assert document is not None
        errors = execution.pre_execution_errors or []
        if errors:
            execution.pre_execution_errors = [_with_argument(error, document) for error in errors]
        elif execution._provided_operation_name is None and _operations(document) > 1:
            message = "The document holds several operations: say which by operationName."
            extensions = {"code": "OPERATION_RESOLUTION_FAILURE"}
            execution.pre_execution_errors = [GraphQLError(message, extensions=extensions)]
        yield


def _operations(document: DocumentNode) -> int:
    return sum(isinstance(definition, OperationDefinitionNode) for definition in document.definitions)


def _with_argument(error: GraphQLError, document: DocumentNode) -> GraphQLError:
    argument = _argument_of(error.nodes[0], document) if error.nodes else []
    if not argument:
        return error
    extensions = {**(error.extensions or {}), "argument": argument}
    return GraphQLError(error.message, error.nodes, original_error=error.original_error, extensions=extensions)


def _argument_of(value: Node, document: DocumentNode) -> list[str]:
    """The path of the argument that a value stands in: ["filter", "timestamp", "from"]; empty for any other node."""
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
