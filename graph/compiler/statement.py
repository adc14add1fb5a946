"""From a selection to an expression.

A field's resolver runs once for each selection of it, with a symbol for its self; what it returns is nested into the
statement of its parent. Fragments, aliases, @include and @skip are collected by graphql-core.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from graphql import (
    Executor,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    located_error,
)
from sqlalchemy import ColumnElement, FromClause, Select, Text, case, cast, func, literal_column, null, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from graph.compiler.deferred import Planning, defer_relative_literals, holds_deferred, specialize
from graph.compiler.json import (
    EMPTY_LIST,
    Fields,
    json_constant,
    json_leaf,
    json_object,
    json_of,
    listed,
    records,
)
from graph.compiler.pages import PLACES, Page, PageRows
from graph.compiler.policy import Policy
from graph.compiler.symbols import Each, Either, Part, Row, Variants, columns_of
from graph.graphql_core_compat import (
    FieldDetails,
    FieldDetailsList,
    Path,
    argument_values,
    build_resolve_info,
    selected_fields,
)

# Generous for people, and an end for operations that grow without one.
MAX_ROOT_FIELDS = 100
MAX_FIELDS = 4_000
MAX_DEPTH = 40
# Nested selects: each costs a millisecond or two to build, in which nobody else is served.
MAX_SELECTS = 200

Tables: TypeAlias = Sequence[FromClause]


class TooLarge(Exception):
    """The operation selects more than a server should answer at once."""


class Budget:
    """What an operation has selected so far, under all its root fields."""

    def __init__(self) -> None:
        self._fields = 0
        self._selects = 0

    def spend(self, *, fields: int = 0, selects: int = 0) -> None:
        """Raises TooLarge where that is too much."""
        self._fields += fields
        self._selects += selects
        if self._fields > MAX_FIELDS or self._selects > MAX_SELECTS:
            raise TooLarge


class Selection:
    """The selection below a field, on its way to being a statement. planning, policy: of the plan that it is for."""

    def __init__(
        self,
        executor: Executor[Any],
        budget: Budget,
        planning: Planning | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._executor = executor
        self._budget = budget
        self._planning = planning
        self._policy = policy

    def statement(
        self, return_type: GraphQLOutputType, fields: FieldDetailsList, path: Path, value: Any
    ) -> Select[tuple[str]]:
        """The statement that answers a root field: one row with one text, or null."""
        return select(cast(self.json(return_type, fields, path, value), Text))

    def json(
        self, return_type: GraphQLOutputType, fields: FieldDetailsList, path: Path, value: Any, outer: Tables = ()
    ) -> ColumnElement[Any]:
        """The JSON of what a field's resolver returned. outer: the tables of the enclosing statements."""
        expression = self._expression(return_type, fields, path, value, outer)
        return json_of(expression, many=is_list_type(get_nullable_type(return_type)))

    def _expression(
        self, return_type: GraphQLOutputType, fields: FieldDetailsList, path: Path, value: Any, outer: Tables
    ) -> ColumnElement[Any]:
        """The same, but rows are still records and arrays, which become JSON with what encloses them."""
        named_type: Any = get_named_type(return_type)
        many = is_list_type(get_nullable_type(return_type))
        if isinstance(value, Select | Page | Variants):
            self._budget.spend(selects=1)
        match value:
            case Select():
                found = self._select(named_type, fields, path, columns_of(value), (*outer, *value.columns_clause_froms))
                return records(value, found, outer, many=many)
            case Page():
                rows = PageRows(value, outer, is_plain=self._is_plain(named_type, fields))
                found = self._select(named_type, fields, path, rows, outer)
                return records(rows.statement, found, outer, many=False)
            case Each(source, table, order_by, where):
                shown = json_object(self._select(named_type, fields, path, source, (*outer, table)))
                listed = func.json_agg(aggregate_order_by(shown, order_by)).filter(where)
                return func.coalesce(listed, EMPTY_LIST)
            case Part(source, exists):
                shown = json_object(self._select(named_type, fields, path, source, outer))
                return shown if exists is None else case((exists, shown))
            case Either(cases, otherwise):
                rest = self._expression(return_type, fields, path, otherwise, outer)
                chosen = [(holds, self._expression(return_type, fields, path, rows, outer)) for holds, rows in cases]
                return case(*chosen, else_=rest) if chosen else rest
            case Variants():
                return self._variants(fields, path, value, outer, many=many)
        if value is None:
            return null()
        if not is_leaf_type(named_type):
            raise TypeError(f"{named_type} comes from rows, but its resolver returned a {type(value).__name__}.")
        return json_leaf(named_type, value) if isinstance(value, ColumnElement) else json_constant(named_type, value)

    def _variants(
        self, fields: FieldDetailsList, path: Path, value: Variants, outer: Tables, *, many: bool
    ) -> ColumnElement[Any]:
        if self._policy is not None:
            for name in value.variants:
                self._policy.visit_type(self._object_type(name))
        keys = (*outer, *value.select.columns_clause_froms)
        cases = [
            (value.kind == name, self.json(self._object_type(name), fields, path, rows, keys))
            for name, rows in value.variants.items()
        ]
        row = (case(*cases) if cases else null()).label("row")
        inner = value.select.with_only_columns(row, maintain_column_froms=True).correlate(*outer).subquery()
        return listed(inner.c.row, inner, many=many)

    def _is_plain(self, connection_type: GraphQLObjectType, fields: FieldDetailsList) -> bool:
        """Whether a page is asked for its rows alone, and neither for their places nor for what lies beyond."""
        selected = selected_fields(self._executor, connection_type, fields)
        return not any(details[0].node.name.value in PLACES for details in selected.values())

    def _object_type(self, name: str) -> GraphQLObjectType:
        object_type = self._executor.schema.type_map[name]
        assert isinstance(object_type, GraphQLObjectType), f"{name} is not an object"
        return object_type

    def _select(
        self, object_type: GraphQLObjectType, fields: FieldDetailsList, path: Path, source: Row, outer: Tables
    ) -> Fields:
        """The selected fields of an object, each with its expression."""
        selected = selected_fields(self._executor, object_type, fields)
        self._budget.spend(fields=len(selected))
        if len(path.as_list()) > MAX_DEPTH:
            raise TooLarge
        return [
            (key, self._field(object_type, details, Path(path, key, object_type.name), source, outer))
            for key, details in selected.items()
        ]

    def _field(
        self, object_type: GraphQLObjectType, fields: FieldDetailsList, path: Path, source: Row, outer: Tables
    ) -> ColumnElement[Any]:
        if fields[0].node.name.value == "__typename":
            return literal_column(f"'{object_type.name}'", Text)
        nodes = [field.node for field in fields]
        try:
            value = self.resolve(object_type, fields, path, source)
            return self._expression(object_type.fields[nodes[0].name.value].type, fields, path, value, outer)
        except Exception as error:
            raise located_error(error, nodes, path.as_list()) from error

    def resolve(self, object_type: GraphQLObjectType, fields: FieldDetailsList, path: Path, source: Row) -> Any:
        """What the resolver of a field returns for this parent."""
        field = object_type.fields[fields[0].node.name.value]
        assert field.resolve is not None, "Strawberry gives every field a resolver"
        info = build_resolve_info(self._executor, field, [field.node for field in fields], object_type, path)
        arguments = self._arguments(field, fields[0])
        if self._policy is not None:
            self._policy.visit(field, arguments)
        try:
            return field.resolve(source, info, **arguments)
        except Exception:
            if not holds_deferred(arguments):
                raise
            # Perhaps it looked at a value.
            return field.resolve(source, info, **specialize(arguments))

    def _arguments(self, field: GraphQLField, first: FieldDetails) -> dict[str, Any]:
        if not field.args:
            return {}
        arguments = argument_values(self._executor, field, first)
        return arguments if self._planning is None else defer_relative_literals(arguments, self._planning)
