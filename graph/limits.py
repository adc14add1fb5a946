"""Limits on a document, checked in one pass before it is validated, because validation costs time as well.

Each fragment is visited once, however often it is spread; its counts are added wherever it is spread.
"""

from dataclasses import dataclass
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

# Sums are capped at this: they double with each fragment that spreads another twice.
LARGEST = 10**9


class OverLimit(Exception):
    """The document exceeds a limit. what: the name of the limit, which clients may rely on."""

    def __init__(self, what: str, found: int, allowed: int) -> None:
        shown = f"{found:,}" if found < LARGEST else "far too many"
        super().__init__(f"The operation has {shown} {what.replace('_', ' ')}, and {allowed:,} are allowed.")
        self.what = what
        self.allowed = allowed


@dataclass(frozen=True)
class Limits:
    """tokens, comments: of the text; parsing takes some 8 us each and blocks the event loop.

    depth: nesting of fields. fields: all selected fields; those of a fragment count wherever it is spread.

    root_fields, aliases and selections (of one selection set) are counted as they are written, before equal ones are
    merged. input_fields: of one object literal.
    """

    tokens: int = 2_000
    comments: int = 500
    depth: int = 20
    root_fields: int = 100
    fields: int = 4_000
    aliases: int = 100
    selections: int = 200
    input_fields: int = 50
    directives: int = 100
    directives_in_one_place: int = 5
    fragments: int = 100
    operations: int = 20
    variables: int = 100


@dataclass(frozen=True)
class Rules:
    """Rules for operations.

    shows_schema: whether clients may read the schema, by introspection or from validation errors.
    max_cost: of one operation, in points (graph/compiler/cost.py).
    """

    limits: Limits = Limits()
    shows_schema: bool = True
    max_cost: float = 200_000


USUAL = Rules()


class _Size(NamedTuple):
    """The size of a selection set, fragments included. own_fields: at its own level. fields: at all levels."""

    depth: int
    own_fields: int
    fields: int


NOTHING = _Size(0, 0, 0)


def check(document: DocumentNode, operation: OperationDefinitionNode, limits: Limits) -> None:
    """Check a document against the limits. Raises OverLimit."""
    fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    operations = len(document.definitions) - len(fragments)
    count = _Counter(limits, {fragment.name.value: fragment for fragment in fragments})
    count.check("fragments", len(fragments))
    count.check("operations", operations)
    count.check("variables", len(operation.variable_definitions or ()))
    for definition in document.definitions:
        count.add_directives(definition)
    # Fragments and operations that are not executed are validated all the same.
    for fragment in fragments:
        count.size_of_fragment(fragment.name.value)
    for other in document.definitions:
        if isinstance(other, OperationDefinitionNode):
            size = count.size_of(other.selection_set)
            count.check("depth", size.depth)
            count.check("fields", size.fields)
            count.check("root_fields", size.own_fields)


class _Counter:
    """Counts the parts of a document. Each method raises OverLimit."""

    def __init__(self, limits: Limits, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._limits = limits
        self._fragments = fragments
        self._sizes: dict[str, _Size] = {}
        self._aliases = 0
        self._directives = 0

    def check(self, what: str, found: int) -> None:
        allowed: int = getattr(self._limits, what)
        if found > allowed:
            raise OverLimit(what, found, allowed)

    def add_directives(self, node: object) -> None:
        found = len(getattr(node, "directives", None) or ())
        self.check("directives_in_one_place", found)
        self._directives += found
        self.check("directives", self._directives)

    def size_of_fragment(self, name: str) -> _Size:
        size = self._sizes.get(name)
        if size is None:
            # A fragment that spreads itself counts as nothing the second time; validation rejects it later.
            self._sizes[name] = NOTHING
            fragment = self._fragments.get(name)
            size = NOTHING if fragment is None else self.size_of(fragment.selection_set)
            self._sizes[name] = size
        return size

    def size_of(self, selection_set: SelectionSetNode) -> _Size:
        self.check("selections", len(selection_set.selections))
        depth = own_fields = fields = 0
        for selection in selection_set.selections:
            self.add_directives(selection)
            size = self._size_of_selection(selection)
            depth = max(depth, size.depth)
            own_fields = min(LARGEST, own_fields + size.own_fields)
            fields = min(LARGEST, fields + size.fields)
        return _Size(depth, own_fields, fields)

    def _size_of_selection(self, selection: SelectionNode) -> _Size:
        match selection:
            case FragmentSpreadNode(name=name):
                return self.size_of_fragment(name.value)
            case InlineFragmentNode(selection_set=inner):
                return self.size_of(inner)
            case FieldNode(selection_set=inner, alias=alias):
                if alias is not None:
                    self._aliases += 1
                    self.check("aliases", self._aliases)
                for argument in selection.arguments or ():
                    self._check_value(argument.value)
                below = NOTHING if inner is None else self.size_of(inner)
                return _Size(below.depth + 1, 1, min(LARGEST, below.fields + 1))
        return NOTHING

    def _check_value(self, value: object) -> None:
        # The parser limits the depth of this recursion.
        if isinstance(value, ObjectValueNode):
            self.check("input_fields", len(value.fields))
            for field in value.fields:
                self._check_value(field.value)
        elif isinstance(value, ListValueNode):
            for item in value.values:
                self._check_value(item)
