"""What an API key may be used for."""

from collections.abc import Iterable
from enum import Enum


class Scope(Enum):
    """Each includes those before it. What the key's user may not do, no scope allows."""

    READ = "READ"
    WRITE = "WRITE"
    ADMIN = "ADMIN"

    def includes(self, other: "Scope") -> bool:
        return _PLACES[self] >= _PLACES[other]


_PLACES = {scope: place for place, scope in enumerate(Scope)}


def permits(granted: Iterable[Scope], needed: Scope) -> bool:
    """Whether one of the granted scopes is the needed one, or includes it."""
    return any(scope.includes(needed) for scope in granted)
