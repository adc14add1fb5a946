"""Identifies the caller of each request by its Authorization header, before anything else handles the request."""

from collections.abc import Awaitable
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from db.errors import DatabaseError
from graph.identity.callers import ANONYMOUS, UNRESTRICTED, Caller
from graph.identity.identities import Identities, Identity
from graph.identity.scopes import Scope as Permission
from server.http.errors import HTTPError, error_response
from server.request_state import STATE, RequestState, bind_request_id, header_values

# Longer than any token that Candlegraph issues.
MAX_TOKEN = 2_000
# IPv6: a client owns a /64.
NETWORK_BITS = 64
MAX_CACHED_HOSTS = 4_096


class AuthenticationError(HTTPError):
    """The request names a caller that could not be identified."""


MISDIRECTED = HTTPError(
    421,
    "MISDIRECTED",
    "With AUTH_MODE=open, use the server's address or localhost: a name could be that of another site.",
)
NOT_ONE_TOKEN = AuthenticationError(401, "UNAUTHENTICATED", "Send one token: Authorization: Bearer …")
INVALID_TOKEN = AuthenticationError(401, "UNAUTHENTICATED", "This token is invalid or has expired: sign in again.")


class CallerMiddleware:
    """Stores the caller in the request state. An invalid token is rejected, whatever the request is for."""

    def __init__(self, app: ASGIApp, *, identities: Identities, is_open: bool) -> None:
        self._app = app
        self._identities = identities
        self._is_open = is_open
        anonymous = UNRESTRICTED if is_open else ANONYMOUS
        self._anonymous_at = lru_cache(MAX_CACHED_HOSTS)(lambda host: replace(anonymous, client=client_of(host)))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        state: RequestState = scope[STATE]
        headers = state.headers
        if self._is_open and (
            not is_local_host(headers.get(b"host", b""))
            or (state.has_repeated_headers and not all(map(is_local_host, header_values(scope, b"host"))))
        ):
            return error_response(MISDIRECTED, scope)(scope, receive, send)
        authorization = headers.get(b"authorization")
        if authorization is not None:
            return self._identified(authorization, state, scope, receive, send)
        # Without a coroutine of its own, which most requests do not need.
        state.caller = self._anonymous_at(scope["client"][0] if scope.get("client") else "")
        return self._app(scope, receive, send)

    async def _identified(
        self, authorization: bytes, state: RequestState, scope: Scope, receive: Receive, send: Send
    ) -> None:
        bind_request_id(state)
        try:
            if state.has_repeated_headers and len(header_values(scope, b"authorization")) > 1:
                raise NOT_ONE_TOKEN
            state.caller = await self._caller(authorization)
        except AuthenticationError as error:
            await error_response(error, scope)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _caller(self, authorization: bytes) -> Caller:
        """Raises AuthenticationError."""
        kind, _, token = authorization.decode("latin-1").partition(" ")
        if kind.lower() != "bearer" or len(token) > MAX_TOKEN:
            raise NOT_ONE_TOKEN
        try:
            identity = await self._identities.of(token.strip())
        except DatabaseError as error:
            raise AuthenticationError(503, "DATABASE_UNAVAILABLE", str(error)) from None
        if identity is None:
            raise INVALID_TOKEN
        return caller_of(identity, is_open=self._is_open)


# Each client sends the same value again and again.
@lru_cache(maxsize=MAX_CACHED_HOSTS)
def is_local_host(host: bytes) -> bool:
    """Whether a Host header is an address, or a name without a dot.

    DNS rebinding: a page of another site may let its own name resolve to this machine, and pass for a page of ours.
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
    """The caller with the rights of an identity. With AUTH_MODE=open, every caller sees everything."""
    return Caller(
        identity.user_id,
        identity.scopes,
        sees_all=is_open or Permission.ADMIN in identity.scopes,
        client=f"user:{identity.user_id}" if identity.key_id is None else f"key:{identity.key_id}",
        key_id=identity.key_id,
        session_id=identity.session_id,
    )


def viewer_of(caller: Caller) -> bytes | None:
    """A key for all callers that get the same answers; None for anonymous callers, which all get the same."""
    return None if caller.user_id is None else b"%d %d" % (caller.user_id, caller.sees_all)


def client_of(host: str) -> str:
    """The rate limiter's name for anonymous requests from an address."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"address:{host}"
    if address.version == 6 and address.ipv4_mapped is None:
        return f"address:{ip_network((address, NETWORK_BITS), strict=False)}"
    return f"address:{address.ipv4_mapped or address}" if address.version == 6 else f"address:{address}"
