"""The caller of a request: its user, its scopes and its bucket."""

from dataclasses import dataclass
from uuid import UUID

from graph.identity.scopes import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """user_id: the authenticated user; None: anonymous. sees_all: may read the private rows of all users.

    client: names the bucket that the rate limit charges. key_id, session_id: the credential, an API key or a session.
    """

    user_id: int | None
    scopes: frozenset[Scope]
    sees_all: bool = False
    client: str = ""
    key_id: int | None = None
    session_id: UUID | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes


# Open mode (AUTH_MODE=open): every request may do everything. For exploring, on one's own machine.
UNRESTRICTED = Caller(None, frozenset(Scope), sees_all=True)
# A request without credentials, where authentication is required for private data and writes.
ANONYMOUS = Caller(None, frozenset({Scope.READ}))
