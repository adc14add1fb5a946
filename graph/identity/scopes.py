"""What a caller may do."""

from collections.abc import Iterable
from enum import Enum

import strawberry


@strawberry.enum(description="What somebody may do. ADMIN includes WRITE, and WRITE includes READ.")
class Scope(Enum):
    READ = strawberry.enum_value("READ", description="Read what is public, and what is one's own.")
    WRITE = strawberry.enum_value("WRITE", description="Write: what is one's own, and what is public.")
    ADMIN = strawberry.enum_value("ADMIN", description="Read and change what belongs to others.")


# Each includes those before it.
_ORDER = (Scope.READ, Scope.WRITE, Scope.ADMIN)


def including(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """The scopes and all that they include."""
    places = [_ORDER.index(scope) for scope in scopes]
    return frozenset(_ORDER[: max(places, default=-1) + 1])
