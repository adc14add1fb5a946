"""What a document may hold, counted in one pass before it is validated: validating is work, too.

Fragments are looked at once each, however often they are spread, and what spreads them adds up what they hold.
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

# Numbers that are added up end here: they double with each fragment that spreads another twice.
LARGEST = 10**9


class OverLimit(Exception):
    """The document holds more of something than it may. what: its name, which stays."""

    def __init__(self, what: str, found: int, allowed: int) -> None:
        shown = f"{found:,}" if found < LARGEST else "far too many"
        super().__init__(f"The operation has {shown} {what.replace('_', ' ')}, and {allowed:,} are allowed.")
        self.what = what
        self.allowed = allowed


@dataclass(frozen=True)
class Limits:
    """tokens, comments: of the text; parsing takes some 8 us each, in which nobody else is served.

    depth: fields within fields. fields: all that are selected, those of fragments wherever they are spread.

    root_fields, aliases and selections (in one place) are counted as they are written, before equal ones are merged.
    input_fields: of one object that is written out.
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
    """shows_schema: whether clients may learn of the schema, by introspection or from what is wrong with a document.

    max_cost: in points, of one operation (graph/compiler/cost.py).
    """

    limits: Limits = Limits()
    shows_schema: bool = True
    max_cost: float = 200_000


USUAL = Rules()


class _Size(NamedTuple):
    """Of a selection set, with what its fragments add. fields: at its own level, then in all."""

    depth: int
    own_fields: int
    fields: int


NOTHING = _Size(0, 0, 0)


def check(document: DocumentNode, operation: OperationDefinitionNode, limits: Limits) -> None:
    """Raises OverLimit."""
    fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    operations = len(document.definitions) - len(fragments)
    count = _Count(limits, {fragment.name.value: fragment for fragment in fragments})
    count.within("fragments", len(fragments))
    count.within("operations", operations)
    count.within("variables", len(operation.variable_definitions or ()))
    for definition in document.definitions:
        count.directives_of(definition)
    # What is not executed is validated all the same.
    for fragment in fragments:
        count.size_of_fragment(fragment.name.value)
    for other in document.definitions:
        if isinstance(other, OperationDefinitionNode):
            size = count.size_of(other.selection_set)
            count.within("depth", size.depth)
            count.within("fields", size.fields)
            count.within("root_fields", size.own_fields)


class _Count:
    def __init__(self, limits: Limits, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._limits = limits
        self._fragments = fragments
        self._sizes: dict[str, _Size] = {}
        self._aliases = 0
        self._directives = 0

    def within(self, what: str, found: int) -> None:
        allowed: int = getattr(self._limits, what)
        if found > allowed:
            raise OverLimit(what, found, allowed)

    def directives_of(self, node: object) -> None:
        found = len(getattr(node, "directives", None) or ())
        self.within("directives_in_one_place", found)
        self._directives += found
        self.within("directives", self._directives)

    def size_of_fragment(self, name: str) -> _Size:
        size = self._sizes.get(name)
        if size is None:
            # One that comes back to itself is nothing the second time; validation says what is wrong with it.
            self._sizes[name] = NOTHING
            fragment = self._fragments.get(name)
            size = NOTHING if fragment is None else self.size_of(fragment.selection_set)
            self._sizes[name] = size
        return size

    def size_of(self, selection_set: SelectionSetNode) -> _Size:
        self.within("selections", len(selection_set.selections))
        depth = own_fields = fields = 0
        for selection in selection_set.selections:
            self.directives_of(selection)
            within = self._size_of_selection(selection)
            depth = max(depth, within.depth)
            own_fields = min(LARGEST, own_fields + within.own_fields)
            fields = min(LARGEST, fields + within.fields)
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
                    self.within("aliases", self._aliases)
                for argument in selection.arguments or ():
                    self._value(argument.value)
                below = NOTHING if inner is None else self.size_of(inner)
                return _Size(below.depth + 1, 1, min(LARGEST, below.fields + 1))
        return NOTHING

    def _value(self, value: object) -> None:
        # No deeper than the parser goes.
        if isinstance(value, ObjectValueNode):
            self.within("input_fields", len(value.fields))
            for field in value.fields:
                self._value(field.value)
        elif isinstance(value, ListValueNode):
            for item in value.values:
                self._value(item)
