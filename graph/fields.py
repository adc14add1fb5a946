"""Building blocks of GraphQL types: relation fields, global ids, ranges of time, filters."""

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

# Global ids in one list.
MAX_IDS = 100

Field: TypeAlias = Callable[[Callable[..., Any]], Any]


def cached(tier: Tier) -> list[CacheControl]:
    """The directives of a type or a field whose answers may be stored for the seconds of a tier."""
    return [CacheControl(max_age=tier.seconds)]


def cached_private(tier: Tier) -> list[CacheControl]:
    """The same for rows that only some viewers may see."""
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

    tier: how long its answers may be stored, if not as long as those of its type. weight: its cost, if it is not one
    row.
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


@strawberry.interface(
    description="An object with a global id, by which `node(id:)` finds it.", directives=cached(Tier.LONG)
)
class Node:
    @resolved(strawberry.ID, "The global id: opaque, and unique across all types.")
    def id(self: Row, info: strawberry.Info) -> Any:
        return global_id(info.path.typename or "", self.id)


def primary_key(type_name: str, id_: str | None, argument: Sequence[str]) -> Any:
    """The primary key in a global id of this type; None without an id. Raises InputError."""
    return None if id_ is None else derive(_primary_key, type_name, id_, argument)


def _primary_key(type_name: str, id_: str, argument: Sequence[str]) -> int:
    try:
        name, key = read_global_id(id_)
    except InvalidGlobalId:
        raise invalid_id(id_, argument) from None
    if name != type_name:
        raise InputError("INVALID_ID", f"This is the id of a {name}, not of a {type_name}.", argument)
    return key


def invalid_id(id_: str, argument: Sequence[str]) -> InputError:
    """The error of a text that is not a global id."""
    message = f"{id_[:50]!r} is not a global id: pass the value of an `id` field, unchanged."
    return InputError("INVALID_ID", message, argument)


@strawberry.input(description="A half-open range of time. A bound that is left out does not limit it.")
class TimeRange:
    from_: datetime | None = strawberry.field(name="from", default=None, description="Start of the range, inclusive.")
    to: datetime | None = strawberry.field(default=None, description="End of the range, exclusive.")


def time_span(range_: TimeRange | None, argument: Sequence[str]) -> Span:
    """The span of a range; unbounded without one. Raises InputError if it ends before it begins."""
    return Span() if range_ is None else checked_span(range_.from_, range_.to, argument)


def checked_span(since: datetime | None, until: datetime | None, argument: Sequence[str] = ()) -> Span:
    """The span between two instants. Raises InputError if it ends before it begins."""
    if since is not None and until is not None:
        until = derive(_checked_end, since, until, argument)
    return Span(since, until)


def _checked_end(since: datetime, until: datetime, argument: Sequence[str]) -> datetime:
    if since > until:
        message = f"The range ends ({until.isoformat()}) before it begins ({since.isoformat()})."
        raise InputError("INVALID_RANGE", message, [*argument, "from"])
    return until


class Criteria(Protocol):
    """A filter input."""

    def criteria(self) -> dict[str, Any]:
        """The arguments of the listing that it filters."""
        ...


def criteria_of(filter_: Criteria | None) -> dict[str, Any]:
    return {} if filter_ is None else filter_.criteria()
