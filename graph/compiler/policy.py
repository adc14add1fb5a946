"""Cache policy: for how long an answer may be served again, and to whom. The strictest selected field decides.

Types and fields declare it by @cacheControl, the directive that clients and shared caches support. A field without it
has the policy of the type that it returns; if that has none either, the policy of the enclosing field.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import strawberry
from graphql import GraphQLField, GraphQLNamedType, GraphQLObjectType, get_named_type
from strawberry.schema_directive import Location

from graph.compiler.deferred import ReadValue, Values, make_reader
from graph.graphql_core_compat import field_metadata, schema_directives

# Key of an AgeOverride in a field's metadata.
AGE_OVERRIDE = "age_override"


@strawberry.enum(description="Which clients may be served a stored answer.")
class CacheControlScope(Enum):
    PUBLIC = strawberry.enum_value("PUBLIC", description="Any client.")
    PRIVATE = strawberry.enum_value("PRIVATE", description="Only the caller that requested it.")


@strawberry.schema_directive(
    locations=[Location.OBJECT, Location.INTERFACE, Location.FIELD_DEFINITION],
    description="For how many seconds an answer with this field may be served again, and to which clients.",
)
class CacheControl:
    max_age: int | None = strawberry.UNSET
    scope: CacheControlScope | None = strawberry.UNSET


class AgeOverride(NamedTuple):
    """If applies(the value of the argument) is true, a field has this many seconds instead of its max_age."""

    argument: str
    applies: Callable[[Any], bool]
    seconds: int


class Policy:
    """The policy of an operation: visit() each selected field, then read it."""

    def __init__(self) -> None:
        self._max_age: int | None = None
        self._overrides: list[tuple[ReadValue, int, AgeOverride]] = []
        self.is_private = False

    @property
    def is_cacheable(self) -> bool:
        """Whether the answer may be stored; a private one only for the caller that it was made for."""
        return self._max_age != 0 and (self._max_age is not None or bool(self._overrides))

    def max_age_seconds(self, values: Values) -> int:
        """For how long the answer may be cached, for these variables."""
        ages = [_overridden(read(values), max_age, override) for read, max_age, override in self._overrides]
        return min(ages if self._max_age is None else [self._max_age, *ages])

    def visit(self, field: GraphQLField, arguments: Mapping[str, Any]) -> None:
        """Apply the policy of a selected field."""
        own, of_type = _cache_control(field), _cache_control(get_named_type(field.type))
        override = field_metadata(field).get(AGE_OVERRIDE)
        # A field may have a longer max_age than its type, but it cannot make a private type public.
        self._apply_scope(own, of_type)
        if own is not None and own.max_age and override is not None:
            self._overrides.append((make_reader(arguments.get(override.argument)), own.max_age, override))
        else:
            self._apply_max_age(of_type if own is None else own)

    def visit_type(self, type_: GraphQLObjectType) -> None:
        """Apply the policy of an object type that a field returns through an interface or a union."""
        control = _cache_control(type_)
        self._apply_scope(control)
        self._apply_max_age(control)

    def _apply_scope(self, *controls: CacheControl | None) -> None:
        self.is_private |= any(control and control.scope is CacheControlScope.PRIVATE for control in controls)

    def _apply_max_age(self, control: CacheControl | None) -> None:
        if control is not None and isinstance(control.max_age, int):
            self._max_age = control.max_age if self._max_age is None else min(self._max_age, control.max_age)


def _overridden(value: Any, max_age: int, override: AgeOverride) -> int:
    return override.seconds if override.applies(value) else max_age


def _cache_control(element: GraphQLField | GraphQLNamedType) -> CacheControl | None:
    directives = schema_directives(element)
    return next((directive for directive in directives if isinstance(directive, CacheControl)), None)
