"""Cost of an operation, in points: about one for each row that its pages, lists and ranges may hold.

A field that is rows costs one point, and each row that it may return another one plus the cost of its selection; a leaf
costs nothing. A field's Weight overrides this. Sizes depend on arguments, so the sum is computed for each request, from
a tree that is built once; without variables the sum is computed once too.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    is_list_type,
    is_object_type,
    value_from_ast_untyped,
)

from graph.compiler.deferred import ReadValue, Values
from graph.compiler.executor import RELATION
from graph.graphql_core_compat import field_metadata

# Key of a Weight in a field's metadata.
WEIGHT = "weight"
# The most nodes of the tree: the sum of a larger one would take too long.
MAX_SELECTIONS = 5_000

Arguments: TypeAlias = Mapping[str, Any]


class TooManySelections(Exception):
    """The operation has more than MAX_SELECTIONS different selections."""


@dataclass(frozen=True)
class Weight:
    """own: points of the field itself. size: its most rows, for these arguments. per_row: points of a row without its
    selection. rows_in_lists: the rows are in the lists of the returned object, as in a connection. rows_in_arguments:
    the rows are those in the arguments, as in a mutation, not in the answer.
    suggest: an argument and its value that reduce the field to at most this many rows; None if no argument does.
    """

    own: float = 1
    size: Callable[[Arguments], float] | None = None
    per_row: float = 1
    rows_in_lists: bool = False
    rows_in_arguments: bool = False
    suggest: Callable[[Arguments, float], tuple[str, Any] | None] | None = None


RELATED = Weight()
FREE = Weight(own=0, per_row=0)


class Suggestion(NamedTuple):
    """The path of a field, and the value of an argument that makes it cheaper."""

    path: list[str]
    argument: str
    value: Any


@dataclass(eq=False)
class _Selected:
    """The fields of one response key, without those that never cost anything. by_type: the fields selected of each
    possible type. is_shared: several fragment spreads select it.
    """

    weight: Weight
    arguments: ReadValue
    is_list: bool
    by_type: list[dict[str, "_Selected"]]
    is_shared: bool = False

    def children(self) -> dict[str, "_Selected"]:
        """The selected fields of all types."""
        return {key: field for fields in reversed(self.by_type) for key, field in fields.items()}


class Cost:
    """The cost of one operation."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        """The document must be valid. Raises TooManySelections."""
        root_type = schema.get_root_type(operation.operation)
        assert root_type is not None
        self._root = _Builder(schema, document).root(root_type, operation.selection_set)
        has_variables = bool(operation.variable_definitions)
        self._constant = None if has_variables else _RequestedCost({}).of(self._root, None)

    def requested(self, values: Values) -> float:
        """The most points that the operation may cost, for these variables."""
        return _RequestedCost(values).of(self._root, None) if self._constant is None else self._constant

    def actual(self, data: Mapping[str, Any], values: Values) -> float:
        """The points that an answer has cost."""
        return _ActualCost(values).of(self._root, data)

    def suggestions(self, values: Values, limit: float) -> list[Suggestion]:
        """The fewest changes that keep the limit: of one argument if that suffices, else of one for each list."""
        adjustable = list(_adjustable(self._root, values))
        adjustable.sort(key=lambda one: -one.size)
        for one in adjustable:
            if (suggestions := self._shrunk([one], values, limit)) is not None:
                return suggestions
        return self._shrunk(adjustable, values, limit) or []

    def _shrunk(self, adjustable: Sequence["_Adjustable"], values: Values, limit: float) -> list[Suggestion] | None:
        """These fields with their sizes reduced by one common factor, so that the cost is within the limit."""

        def cost(factor: float) -> float:
            sizes = {one.field: max(1.0, math.floor(one.size * factor)) for one in adjustable}
            return _RequestedCost(values, sizes).of(self._root, None)

        low, high = 0.0, 1.0
        if not adjustable or cost(low) > limit:
            return None
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (middle, high) if cost(middle) <= limit else (low, middle)
        suggested = [(one, one.suggest(max(1, math.floor(one.size * low)), values)) for one in adjustable]
        return [Suggestion(one.path, *argument) for one, argument in suggested if argument is not None] or None


class _Adjustable(NamedTuple):
    field: _Selected
    path: list[str]
    size: float

    def suggest(self, size: int, values: Values) -> tuple[str, Any] | None:
        suggest = self.field.weight.suggest
        return None if suggest is None else suggest(self.field.arguments(values), size)


def _adjustable(root: dict[str, _Selected], values: Values) -> Iterator[_Adjustable]:
    """The fields of more than one row whose size an argument decides, each once."""
    waiting: list[tuple[dict[str, _Selected], list[str]]] = [(root, [])]
    seen: set[_Selected] = set()
    while waiting:
        fields, path = waiting.pop()
        for key, field in fields.items():
            if field in seen:
                continue
            seen.add(field)
            field_path: list[str] = [*path, key]
            if field.weight.size is not None and field.weight.suggest is not None:
                size = _size(field, values)
                if size > 1:
                    yield _Adjustable(field, field_path, size)
            waiting.append((field.children(), field_path))


def _size(field: _Selected, values: Values) -> float:
    assert field.weight.size is not None
    return field.weight.size(field.arguments(values))


class _RequestedCost:
    """Adds up the most that may be returned. sizes: of these fields, instead of what their arguments say."""

    def __init__(self, values: Values, sizes: Mapping[_Selected, float] | None = None) -> None:
        self._values = values
        self._sizes = sizes or {}
        self._shared: dict[tuple[_Selected, float | None], float] = {}

    def of(self, fields: dict[str, _Selected], rows: float | None) -> float:
        """rows: the most rows of each list among the fields, if the enclosing field decides it."""
        points = 0.0
        for field in fields.values():
            points += self._shared_field(field, rows) if field.is_shared else self._field(field, rows)
        return points

    def _shared_field(self, field: _Selected, rows: float | None) -> float:
        key = field, rows
        if key not in self._shared:
            self._shared[key] = self._field(field, rows)
        return self._shared[key]

    def _field(self, field: _Selected, rows: float | None) -> float:
        weight = field.weight
        if weight.size is not None:
            size = self._sizes[field] if field in self._sizes else _size(field, self._values)
            if weight.rows_in_lists:
                return weight.own + self._most_expensive(field, size)
            selection = self._most_expensive(field, None)
            return weight.own + size * weight.per_row + (size if field.is_list else 1) * selection
        if rows is not None and field.is_list:
            return rows * (1 + self._most_expensive(field, None))
        return weight.own + self._most_expensive(field, rows)

    def _most_expensive(self, field: _Selected, rows: float | None) -> float:
        if len(field.by_type) == 1:
            return self.of(field.by_type[0], rows)
        return max([self.of(fields, rows) for fields in field.by_type], default=0.0)


class _ActualCost:
    """Adds up the rows of an answer."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def of(self, fields: dict[str, _Selected], data: Mapping[str, Any], *, in_page: bool = False) -> float:
        return sum([self._field(field, data.get(key), in_page) for key, field in fields.items()])

    def _field(self, field: _Selected, value: Any, in_page: bool) -> float:
        weight = field.weight
        is_sized = weight.size is not None
        if isinstance(value, list):
            per_row = weight.per_row if is_sized else float(in_page)
            return weight.own + per_row * len(value) + self._rows(field, value)
        if not isinstance(value, dict):
            return weight.own
        if is_sized and not weight.rows_in_lists:
            lists = [len(part) for part in value.values() if isinstance(part, list)]
            rows = _size(field, self._values) if weight.rows_in_arguments else max(lists, default=0)
            return weight.own + weight.per_row * rows + self.of(field.children(), value)
        return weight.own + self.of(field.children(), value, in_page=in_page or weight.rows_in_lists)

    def _rows(self, field: _Selected, rows: Sequence[Any]) -> float:
        fields = field.children()
        # If nothing below a row costs anything, the rows need not be visited.
        return sum([self.of(fields, row) for row in rows if isinstance(row, dict)]) if fields else 0


class _Builder:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        # By type and nodes: a selection that several spreads of a fragment repeat is built once.
        self._built: dict[tuple[str, tuple[int, ...]], _Selected] = {}

    def root(self, root_type: GraphQLObjectType, selection_set: SelectionSetNode) -> dict[str, _Selected]:
        return self._selection(root_type, [selection_set])

    def _selection(self, type_: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> dict[str, _Selected]:
        nodes: dict[str, list[FieldNode]] = {}
        for node in self._fields(type_, sets, set()):
            nodes.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return {key: self._field(type_, same) for key, same in nodes.items() if self._has_cost(type_, same[0])}

    def _has_cost(self, type_: GraphQLObjectType, node: FieldNode) -> bool:
        """False for a free leaf: most leaves are, and the tree stays small without them."""
        name = node.name.value
        if name.startswith("__"):
            return False
        return node.selection_set is not None or _weight(type_.fields[name]) is not FREE

    def _fields(
        self, type_: GraphQLObjectType, sets: Sequence[SelectionSetNode], spread: set[str]
    ) -> Iterator[FieldNode]:
        for selection_set in sets:
            for selection in selection_set.selections:
                match selection:
                    case FieldNode():
                        yield selection
                    case InlineFragmentNode(type_condition=condition, selection_set=inner):
                        if condition is None or self._matches(type_, condition.name.value):
                            yield from self._fields(type_, [inner], spread)
                    case FragmentSpreadNode(name=name) if name.value not in spread:
                        spread.add(name.value)
                        fragment = self._fragments[name.value]
                        if self._matches(type_, fragment.type_condition.name.value):
                            yield from self._fields(type_, [fragment.selection_set], spread)

    def _matches(self, type_: GraphQLObjectType, name: str) -> bool:
        condition: Any = self._schema.type_map[name]
        return condition is type_ or (is_abstract_type(condition) and self._schema.is_sub_type(condition, type_))

    def _field(self, type_: GraphQLObjectType, nodes: Sequence[FieldNode]) -> _Selected:
        key = type_.name, tuple([id(node) for node in nodes])
        if (built := self._built.get(key)) is not None:
            built.is_shared = True
            return built
        if len(self._built) >= MAX_SELECTIONS:
            raise TooManySelections
        self._built[key] = field = self._build_field(type_.fields[nodes[0].name.value], nodes)
        return field

    def _build_field(self, field: GraphQLField, nodes: Sequence[FieldNode]) -> _Selected:
        named: Any = get_named_type(field.type)
        sets = [node.selection_set for node in nodes if node.selection_set is not None]
        by_type = [self._selection(type_, sets) for type_ in self._object_types(named)] if sets else []
        is_list = is_list_type(get_nullable_type(field.type)) and is_composite_type(named)
        return _Selected(_weight(field), _arguments(nodes[0], field), is_list, by_type)

    def _object_types(self, named: Any) -> Sequence[GraphQLObjectType]:
        return [named] if is_object_type(named) else self._schema.get_possible_types(named)


def _weight(field: GraphQLField) -> Weight:
    metadata = field_metadata(field)
    weight: Weight = metadata.get(WEIGHT) or (RELATED if RELATION in metadata else FREE)
    return weight


def _arguments(node: FieldNode, field: GraphQLField) -> ReadValue:
    """A function that reads the arguments of a field from coerced variables. It does not validate them."""
    reads = {argument.name.value: _value(argument.value) for argument in node.arguments or ()}
    defaults = {
        name: argument.default_value
        for name, argument in field.args.items()
        if name not in reads and argument.default_value is not Undefined
    }
    if not reads:
        return lambda _: defaults
    return lambda values: defaults | {name: read(values) for name, read in reads.items()}


def _value(node: ValueNode) -> ReadValue:
    match node:
        case VariableNode(name=name):
            return lambda values: values.get(name.value)
        case ListValueNode(values=items):
            reads = [_value(item) for item in items]
            return lambda values: [read(values) for read in reads]
        case ObjectValueNode(fields=fields):
            parts = [(field.name.value, _value(field.value)) for field in fields]
            return lambda values: {name: read(values) for name, read in parts}
    try:
        constant = value_from_ast_untyped(node)
    except (ValueError, TypeError):
        constant = None
    return lambda _: constant
