"""Who may do what: checked here, refused alike everywhere."""

from graph.errors import Forbidden
from graph.identity.callers import Caller
from graph.identity.scopes import Scope


def check_scope(caller: Caller, scope: Scope) -> None:
    """Raises Forbidden."""
    if not caller.may(scope):
        raise _forbidden(caller, scope)


def check_sees_all(caller: Caller) -> None:
    """Of what only those with ADMIN may see, but everybody where everything is open. Raises Forbidden."""
    if not caller.sees_all:
        raise _forbidden(caller, Scope.ADMIN)


def _forbidden(caller: Caller, scope: Scope) -> Forbidden:
    if caller.user_id is None:
        message = "Sign in first: send Authorization: Bearer with an access token or a key."
        return Forbidden("UNAUTHENTICATED", message)
    return Forbidden("FORBIDDEN", f"This needs the scope {scope.name}.")
