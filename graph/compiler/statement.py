"""Compiles a selection to an SQL expression.

A field's resolver runs once for each selection of it, with a symbol as its self; the value that it returns is nested
into the statement of its parent. graphql-core collects fragments, aliases, @include and @skip.
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
    collect_values,
    json_constant,
    json_leaf,
    json_object,
    select_records,
    to_json,
)
from graph.compiler.pages import POSITION_FIELDS, Page, PageRows
from graph.compiler.policy import Policy
from graph.compiler.symbols import AggregatedRows, ConditionalRows, EmbeddedObject, Row, Variants, columns_of
from graph.graphql_core_compat import (
    FieldDetails,
    FieldDetailsList,
    Path,
    argument_values,
    build_resolve_info,
    selected_fields,
)

# More than a client needs, and a bound for generated operations.
MAX_ROOT_FIELDS = 100
MAX_FIELDS = 4_000
MAX_DEPTH = 40
# Nested selects: each takes a millisecond or two to build, which blocks the event loop.
MAX_SELECTS = 200

Tables: TypeAlias = Sequence[FromClause]


class TooLarge(Exception):
    """The operation exceeds MAX_ROOT_FIELDS, MAX_FIELDS, MAX_DEPTH or MAX_SELECTS."""


class Budget:
    """Counts the fields and selects of an operation, under all its root fields."""

    def __init__(self) -> None:
        self._fields = 0
        self._selects = 0

    def spend(self, *, fields: int = 0, selects: int = 0) -> None:
        """Raises TooLarge above MAX_FIELDS or MAX_SELECTS."""
        self._fields += fields
        self._selects += selects
        if self._fields > MAX_FIELDS or self._selects > MAX_SELECTS:
            raise TooLarge


class Selection:
    """Compiles the selection below a field. planning, policy: of the plan, if one is compiled."""

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
        """The JSON of the value that a field's resolver returned. outer: the tables of the enclosing statements."""
        expression = self._expression(return_type, fields, path, value, outer)
        return to_json(expression, many=is_list_type(get_nullable_type(return_type)))

    def _expression(
        self, return_type: GraphQLOutputType, fields: FieldDetailsList, path: Path, value: Any, outer: Tables
    ) -> ColumnElement[Any]:
        """The same with rows as records and arrays, which become JSON together with the enclosing rows."""
        named_type: Any = get_named_type(return_type)
        many = is_list_type(get_nullable_type(return_type))
        if isinstance(value, Select | Page | Variants):
            self._budget.spend(selects=1)
        match value:
            case Select():
                tables = (*outer, *value.columns_clause_froms)
                selected = self._select(named_type, fields, path, columns_of(value), tables)
                return select_records(value, selected, outer, many=many)
            case Page():
                rows = PageRows(value, outer, rows_only=self._rows_only(named_type, fields))
                selected = self._select(named_type, fields, path, rows, outer)
                return select_records(rows.statement, selected, outer, many=False)
            case AggregatedRows(source, table, order_by, where):
                item = json_object(self._select(named_type, fields, path, source, (*outer, table)))
                items = func.json_agg(aggregate_order_by(item, order_by)).filter(where)
                return func.coalesce(items, EMPTY_LIST)
            case EmbeddedObject(source, exists):
                json = json_object(self._select(named_type, fields, path, source, outer))
                return json if exists is None else case((exists, json))
            case ConditionalRows(cases, otherwise):
                else_ = self._expression(return_type, fields, path, otherwise, outer)
                whens = [(when, self._expression(return_type, fields, path, rows, outer)) for when, rows in cases]
                return case(*whens, else_=else_) if whens else else_
            case Variants():
                return self._variants(fields, path, value, outer, many=many)
        if value is None:
            return null()
        if not is_leaf_type(named_type):
            raise TypeError(f"The resolver of a {named_type} must return rows, but returned a {type(value).__name__}.")
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
        return collect_values(inner.c.row, inner, many=many)

    def _rows_only(self, connection_type: GraphQLObjectType, fields: FieldDetailsList) -> bool:
        """Whether a connection's selection needs neither the positions of its rows nor rows beyond the page."""
        selected = selected_fields(self._executor, connection_type, fields)
        return not any(details[0].node.name.value in POSITION_FIELDS for details in selected.values())

    def _object_type(self, name: str) -> GraphQLObjectType:
        object_type = self._executor.schema.type_map[name]
        assert isinstance(object_type, GraphQLObjectType), f"{name} is not an object"
        return object_type

    def _select(
        self, object_type: GraphQLObjectType, fields: FieldDetailsList, path: Path, source: Row, outer: Tables
    ) -> Fields:
        """The selected fields of an object with their expressions."""
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
        """The value that the resolver of a field returns for this parent."""
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
            # The resolver may need the values.
            return field.resolve(source, info, **specialize(arguments))

    def _arguments(self, field: GraphQLField, first: FieldDetails) -> dict[str, Any]:
        if not field.args:
            return {}
        arguments = argument_values(self._executor, field, first)
        return arguments if self._planning is None else defer_relative_literals(arguments, self._planning)
