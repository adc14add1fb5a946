"""Scopes: what a caller is allowed to do."""

from collections.abc import Iterable
from enum import Enum

import strawberry


@strawberry.enum(description="Permission of a caller or an API key. ADMIN includes WRITE, and WRITE includes READ.")
class Scope(Enum):
    READ = strawberry.enum_value("READ", description="Read public data and your own private data.")
    WRITE = strawberry.enum_value("WRITE", description="Write public data and your own private data.")
    ADMIN = strawberry.enum_value("ADMIN", description="Read and write the private data of all users.")


# Each includes those before it.
_ORDER = (Scope.READ, Scope.WRITE, Scope.ADMIN)


def including(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """The scopes and those that they include."""
    positions = [_ORDER.index(scope) for scope in scopes]
    return frozenset(_ORDER[: max(positions, default=-1) + 1])
