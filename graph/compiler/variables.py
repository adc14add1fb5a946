"""The variables of an operation: their coercion, their shape, and the DeferredValues that replace them in a plan."""

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

# The items of a longer list are not deferred, which would cost too much: such a list is part of the shape. The limits
# are for one list, and for all lists of an operation together.
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
        self._max_items = min(MAX_ITEMS, MAX_ITEMS_OF_ALL // max(lists, 1))
        self._shapes = [(name, _shape_of(type_, self._max_items)) for name, type_ in self._types.items()]

    def coerce(
        self, given: Mapping[str, Any], max_errors: int, *, hides_schema: bool = False
    ) -> dict[str, Any] | list[GraphQLError]:
        """The coerced values of a client's variables, or the errors of those that do not match their types.

        hides_schema: whether the errors leave out suggestions, which name parts of the schema.
        """
        values = {
            name: coerce_input_value(given[name], type_) if name in given else Undefined
            for name, type_ in self._types.items()
        }
        if Undefined not in values.values():
            return values
        # A variable has a default, is missing or invalid: graphql-core handles these cases, in four times the time.
        result = get_variable_values(
            self._schema, self._definitions, dict(given), max_errors=max_errors, hide_suggestions=hides_schema
        )
        return result if isinstance(result, list) else result.coerced

    def shape(self, values: Values) -> Hashable:
        """Equal for variables that share a plan, unless the plan is specialized for more of their values."""
        return tuple([shape(values[name]) if name in values else Ellipsis for name, shape in self._shapes])

    def defer(self, values: Values, planning: Planning) -> dict[str, Any]:
        """The same variables with a DeferredValue in place of each value that the shape leaves open."""

        def read(name: str, values: Values) -> Any:
            return values[name]

        return {
            name: _defer(type_, values[name], (DeferredValue, name), partial(read, name), planning, self._max_items)
            for name, type_ in self._types.items()
            if name in values
        }


def _lists_in(type_: GraphQLInputType, within: tuple[Any, ...] = ()) -> int:
    """The number of lists that a value of this type may hold; recursive input objects count once."""
    named: Any = get_nullable_type(type_)
    if is_list_type(named):
        return 1 + _lists_in(named.of_type, within)
    if is_input_object_type(named) and named not in within:
        return sum(_lists_in(field.type, (*within, named)) for field in named.fields.values())
    return 0


def _shape_of(type_: GraphQLInputType, max_items: int) -> Shape:
    named: Any = get_nullable_type(type_)
    if named is GraphQLBoolean or is_enum_type(named):
        return hashable
    if is_list_type(named):
        of_item = _shape_of(named.of_type, max_items)
        return lambda value: (
            tuple([of_item(item) for item in value]) if _is_short(value, max_items) else hashable(value)
        )
    if is_input_object_type(named):
        return partial(_shape_of_object, named, {}, max_items)
    return _shape_of_scalar


def _shape_of_object(type_: Any, fields: dict[str, Shape], max_items: int, value: Any) -> Hashable:
    if value is None:
        return None
    # Built at the first value: input objects may be recursive.
    if not fields:
        fields |= {field.out_name or name: _shape_of(field.type, max_items) for name, field in type_.fields.items()}
    return tuple([(name, fields[name](part)) for name, part in value.items()])


def _shape_of_scalar(value: Any) -> Hashable:
    return parameter_type(value) or hashable(value)


def _is_short(value: Any, max_items: int) -> bool:
    return value is not None and len(value) <= max_items


def _defer(
    type_: GraphQLInputType, value: Any, origin: Hashable, read: ReadValue, planning: Planning, max_items: int
) -> Any:
    """The value with DeferredValues in place of its open parts. read: reads it from a request's variables."""
    named: Any = get_nullable_type(type_)
    if value is None or named is GraphQLBoolean or is_enum_type(named):
        return value

    def part(type_: GraphQLInputType, key: Any) -> Any:
        return _defer(type_, value[key], (origin, key), lambda values: read(values)[key], planning, max_items)

    if is_list_type(named):
        return [part(named.of_type, index) for index in range(len(value))] if _is_short(value, max_items) else value
    if is_input_object_type(named):
        types = {field.out_name or name: field.type for name, field in named.fields.items()}
        return {name: part(types[name], name) for name in value}
    return value if parameter_type(value) is None else DeferredValue(origin, read, value, planning)
