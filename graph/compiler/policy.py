"""For how long an answer may be served again, and to whom: what its strictest field says.

Types and fields say it by @cacheControl, the directive that clients and shared caches know. A field that says nothing
follows the type that it returns; where that says nothing either, what encloses it.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import strawberry
from graphql import GraphQLField, GraphQLNamedType, GraphQLObjectType, get_named_type
from strawberry.schema_directive import Location

from graph.compiler.deferred import ReadValue, Values, reader
from graph.graphql_core_compat import field_metadata, schema_directives

# A field's metadata: an Exceptionally.
EXCEPTIONALLY = "cached_exceptionally"


@strawberry.enum(description="Who may be served an answer that is stored.")
class CacheControlScope(Enum):
    PUBLIC = strawberry.enum_value("PUBLIC", description="Everybody.")
    PRIVATE = strawberry.enum_value("PRIVATE", description="Whoever asked for it, and nobody else.")


@strawberry.schema_directive(
    locations=[Location.OBJECT, Location.INTERFACE, Location.FIELD_DEFINITION],
    description="For how many seconds an answer with this field may be served again, and to whom.",
)
class CacheControl:
    max_age: int | None = strawberry.UNSET
    scope: CacheControlScope | None = strawberry.UNSET


class Exceptionally(NamedTuple):
    """Where a test of an argument holds, a field may be kept for so many seconds instead."""

    argument: str
    holds: Callable[[Any], bool]
    seconds: int


class Policy:
    """That of an operation, while its fields are visited and after."""

    def __init__(self) -> None:
        self._seconds: int | None = None
        self._exceptions: list[tuple[ReadValue, int, Exceptionally]] = []
        self.is_private = False

    @property
    def is_kept(self) -> bool:
        """Whether its answer may be stored; where it is private, for those alone whom it may be served to."""
        return self._seconds != 0 and (self._seconds is not None or bool(self._exceptions))

    def seconds(self, values: Values) -> int:
        """For how long its answer may be kept, for these variables."""
        found = [_seconds(read(values), usual, exception) for read, usual, exception in self._exceptions]
        return min(found if self._seconds is None else [self._seconds, *found])

    def visit(self, field: GraphQLField, arguments: Mapping[str, Any]) -> None:
        """Heed what a selected field says."""
        said, of_type = _said_by(field), _said_by(get_named_type(field.type))
        exception = field_metadata(field).get(EXCEPTIONALLY)
        # A field may keep what it returns for longer than the type says, but it makes nothing public.
        self._heed_scope(said, of_type)
        if said is not None and said.max_age and exception is not None:
            self._exceptions.append((reader(arguments.get(exception.argument)), said.max_age, exception))
        else:
            self._heed_age(of_type if said is None else said)

    def visit_type(self, type_: GraphQLObjectType) -> None:
        """Heed what a type says that no selected field returns by its own name."""
        said = _said_by(type_)
        self._heed_scope(said)
        self._heed_age(said)

    def _heed_scope(self, *all_said: CacheControl | None) -> None:
        self.is_private |= any(said and said.scope is CacheControlScope.PRIVATE for said in all_said)

    def _heed_age(self, said: CacheControl | None) -> None:
        if said is not None and isinstance(said.max_age, int):
            self._seconds = said.max_age if self._seconds is None else min(self._seconds, said.max_age)


def _seconds(value: Any, usual: int, exception: Exceptionally) -> int:
    return exception.seconds if exception.holds(value) else usual


def _said_by(element: GraphQLField | GraphQLNamedType) -> CacheControl | None:
    directives = schema_directives(element)
    return next((directive for directive in directives if isinstance(directive, CacheControl)), None)
