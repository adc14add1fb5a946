"""Who sends a request, and what that allows."""

from dataclasses import dataclass
from uuid import UUID

from graph.identity.scopes import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """user_id: of who signed in, or of whom the key is. sees_all: what is everybody's, private or not.

    client: whom requests are charged to. key_id, session_id: what proved who it is.
    """

    user_id: int | None
    scopes: frozenset[Scope]
    sees_all: bool = False
    client: str = ""
    key_id: int | None = None
    session_id: UUID | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes


# Where everybody may do everything: for exploring, on one's own machine.
UNRESTRICTED = Caller(None, frozenset(Scope), sees_all=True)
# Where people sign in, and this one did not.
ANONYMOUS = Caller(None, frozenset({Scope.READ}))
