"""Permission checks: one exception, with the same codes and messages everywhere."""

from graph.errors import Forbidden
from graph.identity.callers import Caller
from graph.identity.scopes import Scope


def check_scope(caller: Caller, scope: Scope) -> None:
    """Raises Forbidden if the caller lacks the scope."""
    if not caller.may(scope):
        raise _forbidden(caller, scope)


def check_sees_all(caller: Caller) -> None:
    """Raises Forbidden if the caller cannot see all data: it has no scope ADMIN, and the server is not in open mode."""
    if not caller.sees_all:
        raise _forbidden(caller, Scope.ADMIN)


def _forbidden(caller: Caller, scope: Scope) -> Forbidden:
    if caller.user_id is None:
        message = "Authentication is required: send Authorization: Bearer … with an access token or an API key."
        return Forbidden("UNAUTHENTICATED", message)
    return Forbidden("FORBIDDEN", f"This needs the scope {scope.name}.")
