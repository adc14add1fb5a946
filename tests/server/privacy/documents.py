"""Documents that take every path to every type, generated from the schema, so that they include new types and fields.

A path leads over a number of rows, through lists, connections and other objects; at its end, each field of the last row
is selected, and the rows next to it. Documents have different styles: plain, with aliases, fragments or variables.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from graph.limits import Limits

ROWS_ON_A_PATH = 2
# Fields whose rows other fields lead to as well: a path ends with the first of them.
LAST = {"node", "nodes", "cryptocurrency", "model", "stale"}
# Types whose values change between two requests, or which are not data.
VOLATILE = {"Health", "DatabaseHealth", "CacheHealth", "CacheTierHealth", "PlanHealth", "DataHealth", "RateLimit"}
# Values of required arguments by field; ids are those of all rows.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "cryptocurrency": {"symbol": "AAA"},
    "model": {"name": "one", "version": "1"},
}
# At least the number of all rows; a larger page costs too much.
PAGE_SIZE = 30
STYLES = ("plain", "aliases", "inline fragments", "named fragments", "variables")
ALIAS = "other_"
# Some aliases more are those of several rows.
MAX_ALIASES = Limits().aliases - 10
PAGE = "totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
Ids: TypeAlias = Mapping[str, Sequence[str]]
Inner: TypeAlias = Callable[[GraphQLObjectType], str]


class Document(NamedTuple):
    text: str
    variables: dict[str, Any] = {}


class Step(NamedTuple):
    """From an object by one of its fields to another object."""

    field: str
    leads_to: GraphQLObjectType


def id_of(type_name: str, key: int) -> str:
    return base64.b64encode(f"{type_name}:{key}".encode()).decode()


def read_id(id_: str) -> tuple[str, int]:
    type_name, _, key = base64.b64decode(id_).decode().partition(":")
    return type_name, int(key)


def documents(schema: GraphQLSchema, ids: Ids) -> list[Document]:
    """Documents for all paths. ids: of all rows, by type."""
    assert schema.query_type is not None
    styles = cycle(STYLES)
    return [
        _document(schema, ids, next(styles), path)
        for path in _paths(schema, schema.query_type, ROWS_ON_A_PATH)
        if path[-1].leads_to.name not in VOLATILE
    ]


def _document(schema: GraphQLSchema, ids: Ids, style: str, path: list[Step]) -> Document:
    assert schema.query_type is not None
    document = _Writer(schema, ids, style).document(schema.query_type, path)
    # A row with many relations has more fields than a document may have aliases.
    if document.text.count(ALIAS) > MAX_ALIASES:
        return _Writer(schema, ids, "plain").document(schema.query_type, path)
    return document


def selection_of(schema: GraphQLSchema, ids: Ids, type_: GraphQLObjectType, rows: int = 1) -> str:
    """A selection of all fields of a type, such as a payload, and of the rows that it leads to."""
    inner = (
        _Writer(schema, ids, "plain").step(type_, path[0], path[1:]) for path in _paths(schema, type_, rows) if path
    )
    return " ".join([_leaves(type_), *inner])


def steps(schema: GraphQLSchema, type_: GraphQLObjectType) -> Iterator[Step]:
    """The fields of an object that lead to objects."""
    for name, field in type_.fields.items():
        found = get_named_type(field.type)
        if isinstance(found, GraphQLInterfaceType):
            yield from (Step(name, leads_to) for leads_to in schema.get_implementations(found).objects)
        elif isinstance(found, GraphQLObjectType):
            yield Step(name, _row_type(found))


def _paths(schema: GraphQLSchema, type_: GraphQLObjectType, rows: int) -> Iterator[list[Step]]:
    """The longest paths from an object over this number of rows."""
    for step in steps(schema, type_):
        left = 0 if step.field in LAST else rows - _is_row(step.leads_to)
        further = list(_paths(schema, step.leads_to, left)) if left else []
        yield from ([step, *path] for path in further or [[]])


def _row_type(type_: GraphQLObjectType) -> GraphQLObjectType:
    """The type of a connection's rows; any other type itself."""
    if not _is_connection(type_):
        return type_
    row: GraphQLObjectType = get_named_type(type_.fields["nodes"].type)
    return row


def _is_connection(type_: Any) -> bool:
    return type_.name.endswith("Connection")


def _is_row(type_: GraphQLObjectType) -> bool:
    return any(interface.name == "Node" for interface in type_.interfaces)


def _leaves(type_: GraphQLObjectType) -> str:
    names = [name for name, field in type_.fields.items() if is_leaf_type(get_named_type(field.type))]
    return " ".join(["__typename", *([] if type_.name in VOLATILE else names)])


def _some(ids: Sequence[str]) -> Sequence[str]:
    """About four of them, of different users."""
    return ids[:: len(ids) // 4 or 1]


class _Writer:
    def __init__(self, schema: GraphQLSchema, ids: Ids, style: str) -> None:
        self._schema = schema
        self._ids = ids
        self._style = style
        self._fragments: list[str] = []
        self._variables: dict[str, tuple[str, Any]] = {}

    def document(self, root: GraphQLObjectType, path: Sequence[Step]) -> Document:
        body = self.step(root, path[0], path[1:])
        declared = ", ".join(f"${name}: {type_}" for name, (type_, _) in self._variables.items())
        text = " ".join([f"query({declared})" if declared else "query", "{", body, "}", *self._fragments])
        return Document(text, {name: value for name, (_, value) in self._variables.items()})

    def step(self, parent: GraphQLObjectType, step: Step, path: Sequence[Step]) -> str:
        """The field of a step, with the rest of the path as its selection."""

        def inner(type_: GraphQLObjectType) -> str:
            if path:
                return f"{self._identity(type_)} {self.step(type_, path[0], path[1:])}"
            fringe = [self._field(type_, near, self._identity) for near in steps(self._schema, type_)]
            return " ".join([self._leaf_fields(type_), *fringe])

        return self._field(parent, step, inner)

    def _field(self, parent: GraphQLObjectType, step: Step, inner: Inner) -> str:
        field = parent.fields[step.field]
        type_ = get_named_type(field.type)
        body = self._within(step.leads_to, inner(step.leads_to))
        if isinstance(type_, GraphQLInterfaceType):
            body = body if "fragment" in self._style else f"... on {step.leads_to.name} {{ {body} }}"
            body = f"__typename {self._aliased('id')} {body}"
        elif _is_connection(type_):
            # Edges and nodes, but only one of them continues the path, or documents would double with each row.
            near = self._identity(step.leads_to)
            edge, node = (near, body) if self._style in ("plain", "inline fragments") else (body, near)
            body = f"{PAGE} edges {{ cursor node {{ {edge} }} }} nodes {{ {node} }}"
        if step.field == "node":
            ids = _some(self._ids[step.leads_to.name])
            arguments = [f"(id: {self._value('ID!', id_)})" for id_ in ids]
            return " ".join(f"row{number}: node{argument} {{ {body} }}" for number, argument in enumerate(arguments))
        return f"{self._aliased(step.field)}{self._arguments(step.field, field)} {{ {body} }}"

    def _arguments(self, name: str, field: GraphQLField) -> str:
        values = {**ARGUMENTS, "nodes": {"ids": [id_ for ids in self._ids.values() for id_ in ids]}}.get(name, {})
        required = {name: argument for name, argument in field.args.items() if is_required_argument(argument)}
        if _is_connection(get_named_type(field.type)):
            required["first"], values = field.args["first"], {"first": PAGE_SIZE, **values}
        assert set(required) <= set(values), f"add the arguments of {name} to ARGUMENTS"
        arguments = [f"{name}: {self._value(str(argument.type), values[name])}" for name, argument in required.items()]
        return f"({', '.join(arguments)})" if arguments else ""

    def _value(self, type_: str, value: Any) -> str:
        if self._style != "variables":
            return json.dumps(value)
        name = f"v{len(self._variables)}"
        self._variables[name] = type_, value
        return f"${name}"

    def _leaf_fields(self, type_: GraphQLObjectType) -> str:
        return " ".join(name if name == "__typename" else self._aliased(name) for name in _leaves(type_).split())

    def _identity(self, type_: GraphQLObjectType) -> str:
        """The id of a row; all fields of another object."""
        return f"__typename {self._aliased('id')}" if _is_row(type_) else self._leaf_fields(type_)

    def _aliased(self, field: str) -> str:
        return f"{ALIAS}{field}: {field}" if self._style == "aliases" else field

    def _within(self, type_: GraphQLObjectType, selection: str) -> str:
        if self._style == "inline fragments":
            return f"... on {type_.name} {{ {selection} }}"
        if self._style != "named fragments":
            return selection
        name = f"Part{len(self._fragments)}"
        self._fragments.append(f"fragment {name} on {type_.name} {{ {selection} }}")
        return f"...{name}"
