"""What an operation may cost, in points: rows, as many as its pages, lists and ranges may hold.

A field that is rows costs a point, and each row that it may return another, with what is selected below it; a leaf
costs nothing. Fields say otherwise by a Weight. Sizes are arguments, so the sum is worked out anew for each request,
from a tree that is made once; what holds no variable is added up then.
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

# A field's metadata: its Weight.
WEIGHT = "weight"
# Different places in one operation; what has more is not worth adding up.
MAX_PLACES = 5_000

Arguments: TypeAlias = Mapping[str, Any]


class TooManyPlaces(Exception):
    """The operation selects so much that adding it up would take too long."""


@dataclass(frozen=True)
class Weight:
    """own: of the field itself. size: how many rows it may return, for its arguments. each: of a row, without what is
    selected of it. are_below: the rows are the lists of the object that it returns, as in a connection. are_sent: they
    are none that are returned, but those that the arguments hold.
    smaller: which argument, with which value, would make so many rows of it, or fewer; None if none would.
    """

    own: float = 1
    size: Callable[[Arguments], float] | None = None
    each: float = 1
    are_below: bool = False
    are_sent: bool = False
    smaller: Callable[[Arguments, float], tuple[str, Any] | None] | None = None


RELATED = Weight()
FREE = Weight(own=0, each=0)


class Fit(NamedTuple):
    """An argument, where it stands, and what it would have to be."""

    path: list[str]
    argument: str
    value: Any


@dataclass(eq=False)
class _Place:
    """Fields of one response key, and what they select. by_type: below it, for each type that it may be.

    What costs nothing whatever it returns is left out.
    """

    weight: Weight
    arguments: ReadValue
    is_list: bool
    by_type: list[dict[str, "_Place"]]
    is_shared: bool = False

    def below(self) -> dict[str, "_Place"]:
        """Of whichever type."""
        return {key: place for places in reversed(self.by_type) for key, place in places.items()}


class Cost:
    """That of one operation."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        """Of a valid document. Raises TooManyPlaces."""
        root_type = schema.get_root_type(operation.operation)
        assert root_type is not None
        self._root = _Builder(schema, document).root(root_type, operation.selection_set)
        has_variables = bool(operation.variable_definitions)
        self._constant = None if has_variables else _Sum({}).below(self._root, None)

    def requested(self, values: Values) -> float:
        """What the operation may cost at most, for these variables."""
        return _Sum(values).below(self._root, None) if self._constant is None else self._constant

    def actual(self, data: Mapping[str, Any], values: Values) -> float:
        """What an answer has cost."""
        return _Found(values).below(self._root, data)

    def what_fits(self, values: Values, limit: float) -> list[Fit]:
        """The least that could be asked for instead: one argument, if that is enough, else one for each list."""
        sized = list(_sized(self._root, values))
        sized.sort(key=lambda found: -found.size)
        for one in sized:
            if (fit := self._smaller([one], values, limit)) is not None:
                return fit
        return self._smaller(sized, values, limit) or []

    def _smaller(self, sized: Sequence["_Sized"], values: Values, limit: float) -> list[Fit] | None:
        """By how much these would have to shrink, all by the same share."""

        def cost(share: float) -> float:
            sizes = {one.place: max(1.0, math.floor(one.size * share)) for one in sized}
            return _Sum(values, sizes).below(self._root, None)

        low, high = 0.0, 1.0
        if not sized or cost(low) > limit:
            return None
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (middle, high) if cost(middle) <= limit else (low, middle)
        fits = [(one, one.fit(max(1, math.floor(one.size * low)), values)) for one in sized]
        return [Fit(one.path, *fit) for one, fit in fits if fit is not None] or None


class _Sized(NamedTuple):
    place: _Place
    path: list[str]
    size: float

    def fit(self, size: int, values: Values) -> tuple[str, Any] | None:
        smaller = self.place.weight.smaller
        return None if smaller is None else smaller(self.place.arguments(values), size)


def _sized(root: dict[str, _Place], values: Values) -> Iterator[_Sized]:
    """The places whose size is an argument's to choose, each once."""
    waiting: list[tuple[dict[str, _Place], list[str]]] = [(root, [])]
    seen: set[_Place] = set()
    while waiting:
        places, path = waiting.pop()
        for key, place in places.items():
            if place in seen:
                continue
            seen.add(place)
            here: list[str] = [*path, key]
            if place.weight.size is not None and place.weight.smaller is not None:
                size = _size(place, values)
                if size > 1:
                    yield _Sized(place, here, size)
            waiting.append((place.below(), here))


def _size(place: _Place, values: Values) -> float:
    assert place.weight.size is not None
    return place.weight.size(place.arguments(values))


class _Sum:
    """Adds up what may be returned. sizes: instead of those that the arguments say."""

    def __init__(self, values: Values, sizes: Mapping[_Place, float] | None = None) -> None:
        self._values = values
        self._sizes = sizes or {}
        self._known: dict[tuple[_Place, float | None], float] = {}

    def below(self, places: dict[str, _Place], rows: float | None) -> float:
        """rows: how many each list among these may hold, where what encloses them says so."""
        points = 0.0
        for place in places.values():
            points += self._known_or_counted(place, rows) if place.is_shared else self._counted(place, rows)
        return points

    def _known_or_counted(self, place: _Place, rows: float | None) -> float:
        key = place, rows
        if key not in self._known:
            self._known[key] = self._counted(place, rows)
        return self._known[key]

    def _counted(self, place: _Place, rows: float | None) -> float:
        weight = place.weight
        if weight.size is not None:
            size = self._sizes[place] if place in self._sizes else _size(place, self._values)
            if weight.are_below:
                return weight.own + self._dearest(place, size)
            below = self._dearest(place, None)
            return weight.own + size * weight.each + (size if place.is_list else 1) * below
        if rows is not None and place.is_list:
            return rows * (1 + self._dearest(place, None))
        return weight.own + self._dearest(place, rows)

    def _dearest(self, place: _Place, rows: float | None) -> float:
        if len(place.by_type) == 1:
            return self.below(place.by_type[0], rows)
        return max([self.below(places, rows) for places in place.by_type], default=0.0)


class _Found:
    """Adds up what was returned."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def below(self, places: dict[str, _Place], data: Mapping[str, Any], *, in_page: bool = False) -> float:
        return sum([self._place(place, data.get(key), in_page) for key, place in places.items()])

    def _place(self, place: _Place, value: Any, in_page: bool) -> float:
        weight = place.weight
        is_sized = weight.size is not None
        if isinstance(value, list):
            each = weight.each if is_sized else float(in_page)
            return weight.own + each * len(value) + self._rows(place, value)
        if not isinstance(value, dict):
            return weight.own
        if is_sized and not weight.are_below:
            lists = [len(part) for part in value.values() if isinstance(part, list)]
            rows = _size(place, self._values) if weight.are_sent else max(lists, default=0)
            return weight.own + weight.each * rows + self.below(place.below(), value)
        return weight.own + self.below(place.below(), value, in_page=in_page or weight.are_below)

    def _rows(self, place: _Place, rows: Sequence[Any]) -> float:
        places = place.below()
        # What selects no rows below itself needs no look at each.
        return sum([self.below(places, row) for row in rows if isinstance(row, dict)]) if places else 0


class _Builder:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        # What several fragments spread is one place.
        self._places: dict[tuple[str, tuple[int, ...]], _Place] = {}

    def root(self, root_type: GraphQLObjectType, selection_set: SelectionSetNode) -> dict[str, _Place]:
        return self._selected(root_type, [selection_set])

    def _selected(self, type_: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> dict[str, _Place]:
        nodes: dict[str, list[FieldNode]] = {}
        for node in self._fields(type_, sets, set()):
            nodes.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return {key: self._place(type_, same) for key, same in nodes.items() if self._costs(type_, same[0])}

    def _costs(self, type_: GraphQLObjectType, node: FieldNode) -> bool:
        """Not where it is a leaf that is free: most are, and the sum is none the larger."""
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
                        if condition is None or self._is(type_, condition.name.value):
                            yield from self._fields(type_, [inner], spread)
                    case FragmentSpreadNode(name=name) if name.value not in spread:
                        spread.add(name.value)
                        fragment = self._fragments[name.value]
                        if self._is(type_, fragment.type_condition.name.value):
                            yield from self._fields(type_, [fragment.selection_set], spread)

    def _is(self, type_: GraphQLObjectType, name: str) -> bool:
        condition: Any = self._schema.type_map[name]
        return condition is type_ or (is_abstract_type(condition) and self._schema.is_sub_type(condition, type_))

    def _place(self, type_: GraphQLObjectType, nodes: Sequence[FieldNode]) -> _Place:
        key = type_.name, tuple([id(node) for node in nodes])
        if (known := self._places.get(key)) is not None:
            known.is_shared = True
            return known
        if len(self._places) >= MAX_PLACES:
            raise TooManyPlaces
        self._places[key] = place = self._made(type_.fields[nodes[0].name.value], nodes)
        return place

    def _made(self, field: GraphQLField, nodes: Sequence[FieldNode]) -> _Place:
        named: Any = get_named_type(field.type)
        sets = [node.selection_set for node in nodes if node.selection_set is not None]
        by_type = [self._selected(type_, sets) for type_ in self._possible(named)] if sets else []
        is_list = is_list_type(get_nullable_type(field.type)) and is_composite_type(named)
        return _Place(_weight(field), _arguments(nodes[0], field), is_list, by_type)

    def _possible(self, named: Any) -> Sequence[GraphQLObjectType]:
        return [named] if is_object_type(named) else self._schema.get_possible_types(named)


def _weight(field: GraphQLField) -> Weight:
    metadata = field_metadata(field)
    weight: Weight = metadata.get(WEIGHT) or (RELATED if RELATION in metadata else FREE)
    return weight


def _arguments(node: FieldNode, field: GraphQLField) -> ReadValue:
    """Reads the arguments of a field, for variables that were coerced. Nothing here refuses what is wrong with them."""
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
        fixed = value_from_ast_untyped(node)
    except (ValueError, TypeError):
        fixed = None
    return lambda _: fixed
