"""The id of the request in progress, for log lines and errors. The server sets it once per request."""

from contextvars import ContextVar

# As it stands in the header X-Request-Id: ASCII letters, digits, dots, hyphens and underscores.
REQUEST_ID: ContextVar[bytes | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """The id of the request that this context belongs to; None outside of requests."""
    request_id = REQUEST_ID.get()
    return None if request_id is None else request_id.decode("ascii")
