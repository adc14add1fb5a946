"""The state of one request, shared by the protocol, the middleware and the endpoint, and the id of the request."""

import os
import re
import time
from binascii import hexlify
from typing import Any

from starlette.types import Scope

from graph.identity.callers import Caller
from graph.request_id import REQUEST_ID

# The one key of an ASGI scope that holds state of ours.
STATE = "candlegraph"
REQUEST_ID_HEADER, TRACEPARENT_HEADER = b"x-request-id", b"traceparent"
VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context: version, trace id, parent id, flags. Versions after 00 may append more.
TRACEPARENT = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)

# How many ids are generated together.
BATCH = 256
_generated: list[bytes] = []


class RequestState:
    """Created once per request, by the protocol for a request that waits in the queue, else by begin_request().

    received_at: when it arrived, by time.perf_counter(). is_rejected: the request queue is full, so it gets a 503.
    pause_seconds: for how long its connection is not read after the response. page_policy: the Content-Security-Policy
    of a response that is an HTML page. headers: the last value of each. body: the part of it that has been received.
    fast_path_key: identifies equal requests, see server/http/fast_path.py. has_response: whether a response has begun.
    """

    __slots__ = (
        "body",
        "caller",
        "fast_path_key",
        "has_repeated_headers",
        "has_response",
        "headers",
        "is_body_complete",
        "is_rejected",
        "page_policy",
        "pause_seconds",
        "received_at",
        "request_id",
    )

    caller: Caller
    has_repeated_headers: bool
    headers: dict[bytes, bytes]
    request_id: bytes

    def __init__(self) -> None:
        self.received_at = time.perf_counter()
        self.is_rejected = False
        self.has_response = False
        self.pause_seconds: float | None = None
        self.page_policy: bytes | None = None
        self.body: bytes | bytearray = b""
        self.is_body_complete = False
        self.fast_path_key: tuple[Any, ...] | None = None


def state_of(scope: Scope) -> RequestState:
    """The state of the request of this scope, created if it has none."""
    state: RequestState | None = scope.get(STATE)
    if state is None:
        state = scope[STATE] = RequestState()
    return state


def begin_request(scope: Scope) -> RequestState:
    """Read the headers into the state, and choose the id of the request."""
    # This runs for every request, so it calls as few functions as possible.
    state: RequestState = scope[STATE] if STATE in scope else RequestState()
    scope[STATE] = state
    pairs = scope["headers"]
    state.headers = headers = dict(pairs)
    state.has_repeated_headers = len(headers) != len(pairs)
    request_id: bytes | None = None
    if REQUEST_ID_HEADER in headers or TRACEPARENT_HEADER in headers:
        request_id = _given_request_id(headers)
    if request_id is None:
        request_id = _generated.pop() if _generated else _generate_request_id()
    state.request_id = request_id
    return state


def bind_request_id(state: RequestState) -> None:
    """Bind the id to the context, for log lines and errors: before anything that may write one.

    begin_request() does not, as most answers from memory need none, and it would take 2% of their time. Each request
    runs in a task, and so in a context, of its own: nothing has to reset it.
    """
    REQUEST_ID.set(state.request_id)


def _given_request_id(headers: dict[bytes, bytes]) -> bytes | None:
    """X-Request-Id, if it is valid; without that header, the trace id of a valid traceparent."""
    given = headers.get(REQUEST_ID_HEADER)
    if given is not None:
        return given if VALID_REQUEST_ID.fullmatch(given) else None
    match = TRACEPARENT.fullmatch(headers[TRACEPARENT_HEADER])
    return match[1] if match else None


def _generate_request_id() -> bytes:
    """16 hexadecimal digits, and a batch of others for later requests.

    An id from a batch takes 0.1 microseconds; one by itself 0.4, and a UUID 2.6. They are no counter, which would show
    clients how many requests there are.
    """
    digits = hexlify(os.urandom(8 * BATCH))
    _generated.extend(digits[start : start + 16] for start in range(0, len(digits), 16))
    return _generated.pop()


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """All values of a header, in the order in which they were sent."""
    return [value for key, value in scope["headers"] if key == name]
