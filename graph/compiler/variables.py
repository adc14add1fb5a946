"""The variables of an operation: coerced by the schema, their shape, and what stands for them in a plan."""

from collections.abc import Callable, Collection, Hashable, Mapping
from functools import partial
from typing import Any, TypeAlias

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    Undefined,
    VariableDefinitionNode,
    coerce_input_value,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    type_from_ast,
)
from graphql.execution.values import get_variable_values

from graph.compiler.later import Later, Planning, Read, Values, hashable, parameter_type

# A Later for each item of a longer list would cost too much: such a list is part of its shape.
MAX_ITEMS = 200

Shape: TypeAlias = Callable[[Any], Hashable]


class Variables:
    """The variables that one operation declares."""

    def __init__(self, schema: GraphQLSchema, definitions: Collection[VariableDefinitionNode]) -> None:
        self._schema = schema
        self._definitions = definitions
        self._types: dict[str, Any] = {
            definition.variable.name.value: type_from_ast(schema, definition.type) for definition in definitions
        }
        self._shapes = [(name, _shape_of(type_)) for name, type_ in self._types.items()]

    def coerced(self, given: Mapping[str, Any], max_errors: int) -> dict[str, Any] | list[GraphQLError]:
        """The values that a client gave, as their types have them; errors where one does not fit."""
        values = {
            name: coerce_input_value(given[name], type_) if name in given else Undefined
            for name, type_ in self._types.items()
        }
        if Undefined not in values.values():
            return values
        # Something has a default, was left out or does not fit: graphql-core knows, in four times the time.
        found = get_variable_values(self._schema, self._definitions, dict(given), max_errors=max_errors)
        return found if isinstance(found, list) else found.coerced

    def shape(self, values: Values) -> Hashable:
        """Equal for variables that share a plan, unless it knows more of them."""
        return tuple([shape(values[name]) if name in values else Ellipsis for name, shape in self._shapes])

    def stand_ins(self, values: Values, planning: Planning) -> dict[str, Any]:
        """The same variables, with a Later in the place of each value that the shape leaves open."""

        def read(name: str, values: Values) -> Any:
            return values[name]

        return {
            name: _stand_in(self._types[name], value, name, partial(read, name), planning)
            for name, value in values.items()
        }


def _shape_of(type_: GraphQLInputType) -> Shape:
    named: Any = get_nullable_type(type_)
    if named is GraphQLBoolean or is_enum_type(named):
        return hashable
    if is_list_type(named):
        of_item = _shape_of(named.of_type)
        return lambda value: tuple([of_item(item) for item in value]) if _is_short(value) else hashable(value)
    if is_input_object_type(named):
        return partial(_shape_of_object, named, {})
    return _shape_of_scalar


def _shape_of_object(type_: Any, fields: dict[str, Shape], value: Any) -> Hashable:
    if value is None:
        return None
    # Not before: input objects may hold each other.
    if not fields:
        fields |= {field.out_name or name: _shape_of(field.type) for name, field in type_.fields.items()}
    return tuple([(name, fields[name](part)) for name, part in value.items()])


def _shape_of_scalar(value: Any) -> Hashable:
    return parameter_type(value) or hashable(value)


def _is_short(value: Any) -> bool:
    return value is not None and len(value) <= MAX_ITEMS


def _stand_in(type_: GraphQLInputType, value: Any, identity: Hashable, read: Read, planning: Planning) -> Any:
    """What stands in the place of a value that is read from the variables like this."""
    named: Any = get_nullable_type(type_)
    if value is None or named is GraphQLBoolean or is_enum_type(named):
        return value

    def part(type_: GraphQLInputType, key: Any) -> Any:
        return _stand_in(type_, value[key], (identity, key), lambda values: read(values)[key], planning)

    if is_list_type(named):
        return [part(named.of_type, index) for index in range(len(value))] if _is_short(value) else value
    if is_input_object_type(named):
        types = {field.out_name or name: field.type for name, field in named.fields.items()}
        return {name: part(types[name], name) for name in value}
    return value if parameter_type(value) is None else Later(identity, read, value, planning)
