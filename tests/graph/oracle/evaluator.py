"""The oracle: answers GraphQL operations in plain Python over lists, without our engine.

graphql-core executes the printed schema; the resolvers are a second implementation of the contract.
"""

import base64
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLNonNull,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    execute_sync,
    get_nullable_type,
    is_non_null_type,
    is_object_type,
    parse,
    validate,
)

from tests.graph.oracle.comparison import Json
from tests.graph.oracle.context import EvaluationContext, ExpectedError
from tests.graph.oracle.instants import parse_instant
from tests.graph.oracle.pages import Cursors
from tests.graph.oracle.resolvers import TYPES, Fields
from tests.graph.oracle.world import World

SDL = Path(__file__).parents[3] / "schema.graphql"
# The values of these fields are compared by meaning: a position in an order, a sum.
COMPARED_BY_MEANING = {"cursor", "startCursor", "endCursor", "volume"}


class InvalidOperation(Exception):
    """The operation is invalid: an error of the test, not of the engine."""


@dataclass
class ExpectedAnswer:
    """The expected answer to an operation.

    errors: response keys of root fields that must have an error, each with its code.
    required: response keys of non-null root fields; if one has an error, data is null.
    """

    data: dict[str, Any]
    errors: set[tuple[str, str]]
    required: set[str]


class Evaluator:
    """Answers operations over the rows of a world."""

    def __init__(self, world: World, cursors: Cursors) -> None:
        self._context = EvaluationContext(world, cursors)
        self.schema = build_schema(SDL.read_text())
        query = self.schema.query_type
        assert query is not None
        self._required = {name for name, field in query.fields.items() if is_non_null_type(field.type)}
        _adapt(self.schema)

    def answer(self, text: str, variables: dict[str, Any]) -> ExpectedAnswer:
        document = parse(text)
        invalid = validate(self.schema, document)
        if invalid:
            raise InvalidOperation(f"{invalid}\n{text}")
        roots: dict[str, str] = {}

        def resolve_root(source: Any, info: GraphQLResolveInfo[Any], /, **arguments: Any) -> Any:
            if info.path.prev is None:
                roots[str(info.path.key)] = info.field_name
            return resolve(source, info, **arguments)

        result = execute_sync(
            self.schema,
            document,
            context_value=self._context,
            variable_values=variables,
            field_resolver=resolve_root,
            type_resolver=lambda value, *_: type(value).__name__,
        )
        for error in result.errors or []:
            if not isinstance(error.original_error, ExpectedError):
                raise error.original_error or error
        errors = [(error.path or [""], error.extensions or {}) for error in result.errors or []]
        return ExpectedAnswer(
            data=result.data or {},
            errors={(str(path[0]), extensions["code"]) for path, extensions in errors},
            required={key for key, name in roots.items() if name in self._required},
        )


def _adapt(schema: GraphQLSchema) -> None:
    """Let fields return Python values to compare by meaning, and make root fields nullable so that each fails alone."""
    parsers: dict[str, Any] = {"DateTime": parse_instant, "Decimal": Decimal, "JSON": None}
    for name, parse_value in parsers.items():
        scalar: Any = schema.type_map[name]
        scalar.parse_value = scalar.coerce_input_value = parse_value
    json: Any = schema.type_map["JSON"]
    json.serialize = json.coerce_output_value = Json
    python_value = GraphQLScalarType("PythonValue")
    for type_ in schema.type_map.values():
        if is_object_type(type_):
            for name in COMPARED_BY_MEANING & type_.fields.keys():
                field = type_.fields[name]
                field.type = GraphQLNonNull(python_value) if is_non_null_type(field.type) else python_value
    for field in schema.query_type.fields.values() if schema.query_type else ():
        field.type = get_nullable_type(field.type)


def resolve(source: Any, info: GraphQLResolveInfo[Any], /, **arguments: Any) -> Any:
    """A field's value: from the resolvers of its type, else the attribute of its row."""
    type_name = info.parent_type.name
    if info.field_name == "id":
        return base64.b64encode(f"{type_name}:{source.id}".encode()).decode()
    name = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", info.field_name)
    fields = TYPES.get(type_name, Fields)
    if hasattr(fields, name):
        return getattr(fields(info.context, source), name)(**arguments)
    return getattr(source, name)
