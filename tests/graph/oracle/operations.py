"""Generates operations from the schema: any valid selection whose answer stays small."""

from collections.abc import Sequence
from random import Random
from typing import Any

from graphql import GraphQLField, GraphQLSchema, get_named_type, is_interface_type, is_leaf_type, is_object_type

from tests.graph.oracle.shrinking import Operation
from tests.graph.oracle.values import ValuePool, arguments
from tests.graph.oracle.writing import Writer

# Fields that depend on the process or the clock instead of the rows.
NOT_IN_ROWS = {
    "Query": {"viewer"},
    "Health": {
        "status",
        "service",
        "version",
        "environment",
        "timestamp",
        "uptimeSeconds",
        "database",
        "cache",
        "plans",
    },
    "DataHealth": {"newestCandleAgeSeconds"},
}
MAX_DEPTH = 4
MAX_ROWS = 300
# Well below the server's limits.
MAX_FIELDS = 300
ENTRIES = ["field"] * 28 + ["inline"] * 4 + ["typename", "typename", "fragment", "fragment", "spread", "spread", "wide"]
# PostgreSQL truncates names after 63 bytes; GraphQL does not.
LONG = "_and_a_name_that_is_longer_than_the_names_of_columns_can_be_in_postgresql"


def operation(random: Random, schema: GraphQLSchema, pool: ValuePool, roots: Sequence[str]) -> Operation:
    """An operation with these root fields, some of them in fragments or under @include and @skip."""
    return _Generator(random, schema, pool).operation(roots)


class _Generator:
    """Generates one operation. depth and room: how many entities deep, and how many rows, a selection may still be."""

    def __init__(self, random: Random, schema: GraphQLSchema, pool: ValuePool) -> None:
        self._random = random
        self._schema = schema
        self._pool = pool
        self._writer = Writer(random)
        self._fragments: list[str] = []
        # By type: a fragment's name, with the depth and the room that it was generated for.
        self._finished: dict[str, list[tuple[str, int, int]]] = {}
        self._names = 0
        self._fields_left = MAX_FIELDS

    def operation(self, roots: Sequence[str]) -> Operation:
        entries = [self._root(name, MAX_ROWS // len(roots)) for name in roots]
        definitions = ", ".join(self._writer.definitions)
        head = f"query Generated({definitions}) " if definitions else self._random.choice(["", "query ", "query Q "])
        text = "\n".join([f"{head}{{ {' '.join(entries)} }}", *self._fragments])
        return Operation(text, self._writer.values)

    def _root(self, name: str, room: int) -> str:
        query: Any = self._schema.query_type
        field = self._field(query, name, MAX_DEPTH, room, alone=False)
        match self._random.randint(0, 9):
            case 0:
                return f"... on {query}{self._writer.directive()} {{ {field} }}"
            case 1:
                return f"...{self._finish(query, f'{{ {field} }}', MAX_DEPTH, room)}{self._writer.directive()}"
        return field

    def _selection(self, type_: Any, depth: int, room: int, *, alone: bool = False, nested: int = 0) -> str:
        """alone: the selection is next to those of other types, so every response key must be unique."""
        if self._fields_left <= 0:
            return "{ __typename }"
        count = self._random.randint(1, 4)
        entries = [self._entry(type_, depth, room, alone=alone, nested=nested) for _ in range(count)]
        return f"{{ {' '.join(entries)} }}"

    def _entry(self, type_: Any, depth: int, room: int, *, alone: bool, nested: int) -> str:
        kind = self._random.choice(ENTRIES)
        if is_interface_type(type_) and kind != "typename":
            kind = "field" if self._random.random() < 0.25 else "inline"
        match kind:
            case "typename":
                return self._named("__typename", "", alone=alone)
            case "inline" if nested < 2 or is_interface_type(type_):
                return self._inline(type_, depth, room, alone=alone, nested=nested + 1)
            case "fragment" if nested < 2:
                return self._new_fragment(type_, depth, room, alone=alone, nested=nested + 1)
            case "spread" if not alone:
                return self._old_fragment(type_, depth, room)
            case "wide" if self._leaves(type_) and self._random.random() < 0.15:
                return self._wide(type_)
        return self._any_field(type_, depth, room, alone=alone)

    def _inline(self, type_: Any, depth: int, room: int, *, alone: bool, nested: int) -> str:
        directive = self._writer.directive()
        if is_interface_type(type_):
            concrete = self._random.choice(self._schema.get_possible_types(type_))
            return f"... on {concrete}{directive} {self._selection(concrete, depth, room, alone=True, nested=nested)}"
        conditions: list[Any] = [None, type_, *type_.interfaces]
        condition = self._random.choice(conditions)
        if is_interface_type(condition):
            return f"... on {condition}{directive} {{ {self._any_field(condition, 0, 1, alone=alone)} }}"
        on = f" on {condition}" if condition else ""
        return f"...{on}{directive} {self._selection(type_, depth, room, alone=alone, nested=nested)}"

    def _new_fragment(self, type_: Any, depth: int, room: int, *, alone: bool, nested: int) -> str:
        directive = self._writer.directive()
        selection = self._selection(type_, depth, room, alone=alone, nested=nested)
        return f"...{self._finish(type_, selection, depth, room)}{directive}"

    def _finish(self, type_: Any, selection: str, depth: int, room: int) -> str:
        """The name of a new fragment."""
        name = f"F{len(self._fragments)}"
        self._fragments.append(f"fragment {name} on {type_} {selection}")
        self._finished.setdefault(type_.name, []).append((name, depth, room))
        return name

    def _old_fragment(self, type_: Any, depth: int, room: int) -> str:
        finished = self._finished.get(type_.name, [])
        fitting = [name for name, least_depth, least_room in finished if least_depth <= depth and least_room <= room]
        if not fitting:
            return self._named("__typename", "", alone=False)
        return f"...{self._random.choice(fitting)}{self._writer.directive()}"

    def _wide(self, type_: Any) -> str:
        """More fields than a PostgreSQL function takes arguments."""
        leaves, count = self._leaves(type_), self._random.randint(45, 105)
        return " ".join(self._named(leaves[number % len(leaves)], "", alone=True) for number in range(count))

    def _any_field(self, type_: Any, depth: int, room: int, *, alone: bool) -> str:
        return self._field(type_, self._random.choice(self._fields(type_, depth)), depth, room, alone=alone)

    def _field(self, type_: Any, name: str, depth: int, room: int, *, alone: bool) -> str:
        field: GraphQLField = type_.fields[name]
        chosen, count = arguments(self._random, self._pool, field, room)
        written = self._writer.arguments(chosen, field.args)
        entry = self._named(name, written, alone=alone) + self._writer.directive()
        inner: Any = get_named_type(field.type)
        if is_leaf_type(inner):
            return entry
        # Depth counts entities only, not the objects of a connection.
        deeper = depth - 1 if _is_entity(type_) or type_ is self._schema.query_type else depth
        return f"{entry} {self._selection(inner, deeper, max(room // count, 1))}"

    def _named(self, name: str, written: str, *, alone: bool) -> str:
        """A field. One with arguments gets an alias: two fields of one response key must be equal."""
        self._fields_left -= 1
        if not (alone or written) and self._random.random() < 0.8:
            return name
        self._names += 1
        long = LONG if self._random.random() < 0.05 else ""
        return f"a{self._names}{long}: {name}{written}"

    def _leaves(self, type_: Any) -> list[str]:
        return [name for name in self._allowed(type_) if is_leaf_type(get_named_type(type_.fields[name].type))]

    def _fields(self, type_: Any, depth: int) -> list[str]:
        """Fields that may be selected at this depth; objects are chosen as often as leaves."""
        leaves = self._leaves(type_)
        objects = [name for name in self._allowed(type_) if name not in leaves]
        if depth <= 0 and _is_entity(type_):
            objects = [name for name in objects if not _leads_to_entities(type_.fields[name])]
        if not (leaves and objects):
            return leaves or objects
        return leaves * len(objects) + objects * len(leaves)

    def _allowed(self, type_: Any) -> list[str]:
        return [name for name in type_.fields if name not in NOT_IN_ROWS.get(type_.name, ())]


def _is_entity(type_: Any) -> bool:
    return is_interface_type(type_) or (is_object_type(type_) and bool(type_.interfaces))


def _leads_to_entities(field: GraphQLField) -> bool:
    """Whether a field leads to other entities."""
    inner: Any = get_named_type(field.type)
    return _is_entity(inner) or inner.name.endswith("Connection")
