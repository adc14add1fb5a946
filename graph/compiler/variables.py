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
    get_variable_values,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    type_from_ast,
)

from graph.compiler.deferred import DeferredValue, Planning, ReadValue, Values, hashable, parameter_type

# A DeferredValue for each item of a longer list would cost too much: such a list is part of the shape. The limits are
# for one list, and for all lists of an operation.
MAX_ITEMS = 200
MAX_ITEMS_OF_ALL = 1_000

Shape: TypeAlias = Callable[[Any], Hashable]


class Variables:
    """The variables that one operation declares."""

    def __init__(self, schema: GraphQLSchema, definitions: Collection[VariableDefinitionNode]) -> None:
        self._schema = schema
        self._definitions = definitions
        self._types: dict[str, Any] = {
            definition.variable.name.value: type_from_ast(schema, definition.type) for definition in definitions
        }
        lists = sum(_lists_in(type_) for type_ in self._types.values())
        self._most = min(MAX_ITEMS, MAX_ITEMS_OF_ALL // max(lists, 1))
        self._shapes = [(name, _shape_of(type_, self._most)) for name, type_ in self._types.items()]

    def coerced(
        self, given: Mapping[str, Any], max_errors: int, *, hides_schema: bool = False
    ) -> dict[str, Any] | list[GraphQLError]:
        """The values that a client gave, as their types have them; errors where one does not fit.

        hides_schema: whether these leave out what might have been meant.
        """
        values = {
            name: coerce_input_value(given[name], type_) if name in given else Undefined
            for name, type_ in self._types.items()
        }
        if Undefined not in values.values():
            return values
        # Something has a default, was left out or does not fit: graphql-core knows, in four times the time.
        found = get_variable_values(
            self._schema, self._definitions, dict(given), max_errors=max_errors, hide_suggestions=hides_schema
        )
        return found if isinstance(found, list) else found.coerced

    def shape(self, values: Values) -> Hashable:
        """Equal for variables that share a plan, unless it knows more of them."""
        return tuple([shape(values[name]) if name in values else Ellipsis for name, shape in self._shapes])

    def stand_ins(self, values: Values, planning: Planning) -> dict[str, Any]:
        """The same variables, with a DeferredValue in the place of each value that the shape leaves open."""

        def read(name: str, values: Values) -> Any:
            return values[name]

        return {
            name: _stand_in(type_, values[name], (DeferredValue, name), partial(read, name), planning, self._most)
            for name, type_ in self._types.items()
            if name in values
        }


def _lists_in(type_: GraphQLInputType, within: tuple[Any, ...] = ()) -> int:
    """How many lists a value of this type may hold; input objects that hold themselves are not followed."""
    named: Any = get_nullable_type(type_)
    if is_list_type(named):
        return 1 + _lists_in(named.of_type, within)
    if is_input_object_type(named) and named not in within:
        return sum(_lists_in(field.type, (*within, named)) for field in named.fields.values())
    return 0


def _shape_of(type_: GraphQLInputType, most: int) -> Shape:
    named: Any = get_nullable_type(type_)
    if named is GraphQLBoolean or is_enum_type(named):
        return hashable
    if is_list_type(named):
        of_item = _shape_of(named.of_type, most)
        return lambda value: tuple([of_item(item) for item in value]) if _is_short(value, most) else hashable(value)
    if is_input_object_type(named):
        return partial(_shape_of_object, named, {}, most)
    return _shape_of_scalar


def _shape_of_object(type_: Any, fields: dict[str, Shape], most: int, value: Any) -> Hashable:
    if value is None:
        return None
    # Not before: input objects may hold each other.
    if not fields:
        fields |= {field.out_name or name: _shape_of(field.type, most) for name, field in type_.fields.items()}
    return tuple([(name, fields[name](part)) for name, part in value.items()])


def _shape_of_scalar(value: Any) -> Hashable:
    return parameter_type(value) or hashable(value)


def _is_short(value: Any, most: int) -> bool:
    return value is not None and len(value) <= most


def _stand_in(
    type_: GraphQLInputType, value: Any, identity: Hashable, read: ReadValue, planning: Planning, most: int
) -> Any:
    """What stands in the place of a value that is read from the variables like this."""
    named: Any = get_nullable_type(type_)
    if value is None or named is GraphQLBoolean or is_enum_type(named):
        return value

    def part(type_: GraphQLInputType, key: Any) -> Any:
        return _stand_in(type_, value[key], (identity, key), lambda values: read(values)[key], planning, most)

    if is_list_type(named):
        return [part(named.of_type, index) for index in range(len(value))] if _is_short(value, most) else value
    if is_input_object_type(named):
        types = {field.out_name or name: field.type for name, field in named.fields.items()}
        return {name: part(types[name], name) for name in value}
    return value if parameter_type(value) is None else DeferredValue(identity, read, value, planning)
