"""Shrinks a failing operation to the parts that it needs to fail."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import (
    REMOVE,
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    ObjectFieldNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

REMOVABLE = (FieldNode, InlineFragmentNode, FragmentSpreadNode, DirectiveNode, ArgumentNode, ObjectFieldNode)
MAX_SECONDS = 30


@dataclass(frozen=True)
class Operation:
    """A document and its variables."""

    text: str
    variables: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.text}\nvariables: {orjson.dumps(self.variables).decode()}"


def shrink(operation: Operation, fails: Callable[[Operation], Any]) -> Operation:
    """The operation without the parts that it also fails without, as far as MAX_SECONDS allows."""
    deadline = time.monotonic() + MAX_SECONDS
    document = parse(operation.text)
    position = 0
    while time.monotonic() < deadline and position < _count(document):
        smaller = _tidied(_without(document, position))
        candidate = Operation(print_ast(smaller), operation.variables)
        if smaller.definitions and fails(candidate):
            document, operation = smaller, candidate
        else:
            position += 1
    return operation


def _count(document: DocumentNode) -> int:
    nodes = 0

    def count(node: Node, *_: Any) -> None:
        nonlocal nodes
        nodes += isinstance(node, REMOVABLE)

    _visit(document, count)
    return nodes


def _without(document: DocumentNode, position: int) -> DocumentNode:
    """Without the removable node at this position and its children."""
    positions = itertools.count()
    return _visit(
        document, lambda node, *_: REMOVE if isinstance(node, REMOVABLE) and next(positions) == position else None
    )


def _tidied(document: DocumentNode) -> DocumentNode:
    """Without unused fragments and variables and without empty selections, which are invalid."""
    used: set[tuple[type[Node], str]] = set()

    def collect(node: Any, _key: Any, parent: Any, *_: Any) -> None:
        if isinstance(node, FragmentSpreadNode) or (
            isinstance(node, VariableNode) and not isinstance(parent, VariableDefinitionNode)
        ):
            used.add((type(node), node.name.value))

    def remove(node: Any, *_: Any) -> Any:
        match node:
            case FragmentDefinitionNode() if (FragmentSpreadNode, node.name.value) not in used:
                return REMOVE
            case VariableDefinitionNode() if (VariableNode, node.variable.name.value) not in used:
                return REMOVE
        selections = getattr(node, "selection_set", None)
        return REMOVE if selections is not None and not selections.selections else None

    _visit(document, collect)
    tidied = _visit(document, remove)
    return tidied if print_ast(tidied) == print_ast(document) else _tidied(tidied)


def _visit(document: DocumentNode, enter: Callable[..., Any]) -> DocumentNode:
    visitor = Visitor()
    visitor.enter = enter  # type: ignore[attr-defined]
    visited: DocumentNode = visit(document, visitor)
    return visited
