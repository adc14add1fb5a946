"""Who sends a request: told by its Authorization header, before anything else, and noted for all who come after."""

from collections.abc import Awaitable
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from db.errors import DatabaseError
from graph.identity.callers import ANONYMOUS, UNRESTRICTED, Caller
from graph.identity.identities import Identities, Identity
from graph.identity.scopes import Scope as Permission
from server.http.errors import error_response

# Where a scope holds who sends the request.
CALLER = "candlegraph.caller"
# No token of ours is longer.
MAX_TOKEN = 2_000
# Whoever has an address of the new kind has a whole network of them.
NETWORK_BITS = 64
REMEMBERED = 4_096
OTHER_NAME = "With AUTH_MODE=open, use the server's address or localhost: a name could be that of another site."


class CallerMiddleware:
    """Notes the caller of each request; a token that proves nothing is refused, whatever is asked for."""

    def __init__(self, app: ASGIApp, *, identities: Identities, is_open: bool) -> None:
        self._app = app
        self._identities = identities
        self._is_open = is_open
        anonymous = UNRESTRICTED if is_open else ANONYMOUS
        self._anonymous_at = lru_cache(REMEMBERED)(lambda host: replace(anonymous, client=address_of(host)))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        given: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"authorization":
                given.append(value)
            elif name == b"host" and self._is_open and not is_of_this_network(value):
                return error_response(421, "MISDIRECTED", OTHER_NAME)(scope, receive, send)
        if given:
            return self._identified(given, scope, receive, send)
        # No coroutine for those who show nothing.
        scope[CALLER] = self._anonymous_at(scope["client"][0] if scope.get("client") else "")
        return self._app(scope, receive, send)

    async def _identified(self, given: list[bytes], scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope[CALLER] = await self._caller(given)
        except _Refused as refused:
            await error_response(refused.status, refused.code, str(refused))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _caller(self, given: list[bytes]) -> Caller:
        kind, _, token = given[0].decode("latin-1").partition(" ")
        if len(given) > 1 or kind.lower() != "bearer" or len(token) > MAX_TOKEN:
            raise _Refused(401, "UNAUTHENTICATED", "Send one token: Authorization: Bearer …")
        try:
            identity = await self._identities.of(token.strip())
        except DatabaseError as error:
            raise _Refused(503, "DATABASE_UNAVAILABLE", str(error)) from None
        if identity is None:
            raise _Refused(401, "UNAUTHENTICATED", "This token is not valid, or not any more: sign in again.")
        return caller_of(identity, is_open=self._is_open)


# Clients say the same for ever.
@lru_cache(maxsize=REMEMBERED)
def is_of_this_network(host: bytes) -> bool:
    """Whether a Host is an address, or a name without a dot.

    A page of another site may have its own name mean this machine (DNS rebinding), and be taken for one of ours.
    """
    text = host.decode("latin-1").lower()
    before, _, port = text.rpartition(":")
    name = (before if port.isdigit() else text).strip("[]")
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def caller_of(identity: Identity, *, is_open: bool) -> Caller:
    """What an identity may do. Where everybody may see everything, so may who signed in."""
    return Caller(
        identity.user_id,
        identity.scopes,
        sees_all=is_open or Permission.ADMIN in identity.scopes,
        client=f"user:{identity.user_id}" if identity.key_id is None else f"key:{identity.key_id}",
        key_id=identity.key_id,
        session_id=identity.session_id,
    )


def viewer_of(caller: Caller) -> bytes | None:
    """What tells the answers to this caller from those to others; None for anonymous, who are all alike."""
    return None if caller.user_id is None else b"%d %d" % (caller.user_id, caller.sees_all)


def address_of(host: str) -> str:
    """Whom requests are charged to that nobody signed."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"address:{host}"
    if address.version == 6 and address.ipv4_mapped is None:
        return f"address:{ip_network((address, NETWORK_BITS), strict=False)}"
    return f"address:{address.ipv4_mapped or address}" if address.version == 6 else f"address:{address}"


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
