"""What types have in common: fields that are rows, global ids, ranges of time."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import strawberry

from cache.tiers import Tier
from db.queries.listings import Span
from graph.compiler.cost import WEIGHT, Weight
from graph.compiler.deferred import derive
from graph.compiler.executor import RELATION
from graph.compiler.global_ids import InvalidGlobalId, global_id, read_global_id
from graph.compiler.policy import AGE_OVERRIDE, AgeOverride, CacheControl, CacheControlScope
from graph.compiler.symbols import Row
from graph.errors import InputError

Field: TypeAlias = Callable[[Callable[..., Any]], Any]


def cached(tier: Tier) -> list[CacheControl]:
    """The directives of a type or a field whose answers may be kept this long."""
    return [CacheControl(max_age=tier.seconds)]


def kept_private(tier: Tier) -> list[CacheControl]:
    """The same, of what is shown to some alone."""
    return [CacheControl(max_age=tier.seconds, scope=CacheControlScope.PRIVATE)]


def relation(
    graphql_type: Any,
    description: str,
    *,
    tier: Tier | None = None,
    age_override: AgeOverride | None = None,
    weight: Weight | None = None,
) -> Field:
    """A field whose resolver returns rows that belong to its parent, or a part of it.

    tier: for how long its answers may be kept, where that is not as its type says. weight: what it costs, if it is not
    one row.
    """
    field: Field = strawberry.field(
        graphql_type=graphql_type,
        description=description,
        metadata={RELATION: True, AGE_OVERRIDE: age_override, WEIGHT: weight},
        directives=() if tier is None else cached(tier),
    )
    return field


def resolved(graphql_type: Any, description: str, *, tier: Tier | None = None, weight: Weight | None = None) -> Field:
    """A field whose resolver returns a value, or an expression over its parent's columns."""
    field: Field = strawberry.field(
        graphql_type=graphql_type,
        description=description,
        metadata={WEIGHT: weight},
        directives=() if tier is None else cached(tier),
    )
    return field


@strawberry.interface(description="Anything with a global id: node(id:) finds it again.", directives=cached(Tier.LONG))
class Node:
    @resolved(strawberry.ID, "The global id: opaque, and unique among all types.")
    def id(self: Row, info: strawberry.Info) -> Any:
        return global_id(info.path.typename or "", self.id)


def key_of(type_name: str, id_: str | None, argument: Sequence[str]) -> Any:
    """The primary key behind a global id of this type. Raises InputError."""
    return None if id_ is None else derive(_key, type_name, id_, argument)


def _key(type_name: str, id_: str, argument: Sequence[str]) -> int:
    try:
        name, key = read_global_id(id_)
    except InvalidGlobalId:
        raise InputError("INVALID_ID", "This is not a global id: pass on what an id field gave.", argument) from None
    if name != type_name:
        raise InputError("INVALID_ID", f"This is the id of a {name}, not of a {type_name}.", argument)
    return key


@strawberry.input(description="A half-open range of time. A bound that is left out is open.")
class TimeRange:
    from_: datetime | None = strawberry.field(name="from", default=None, description="The first instant: inclusive.")
    to: datetime | None = strawberry.field(default=None, description="The end: exclusive.")


def span_of(range_: TimeRange | None, argument: Sequence[str]) -> Span:
    """The span of a range. Raises InputError where it ends before it begins."""
    return Span() if range_ is None else checked_span(range_.from_, range_.to, argument)


def checked_span(since: datetime | None, until: datetime | None, argument: Sequence[str] = ()) -> Span:
    """The span between two instants. Raises InputError where it ends before it begins."""
    if since is not None and until is not None:
        until = derive(_end, since, until, argument)
    return Span(since, until)


def _end(since: datetime, until: datetime, argument: Sequence[str]) -> datetime:
    if since > until:
        message = f"The range ends ({until.isoformat()}) before it begins ({since.isoformat()})."
        raise InputError("INVALID_RANGE", message, [*argument, "from"])
    return until


class Criteria(Protocol):
    """A filter input: what it asks for, as arguments of a listing."""

    def criteria(self) -> dict[str, Any]: ...


def criteria_of(filter_: Criteria | None) -> dict[str, Any]:
    return {} if filter_ is None else filter_.criteria()
