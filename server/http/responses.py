"""Shared by all responses: the form of their headers, and the request headers that select a response."""

from typing import TypeAlias

# Names in lower case, as ASGI wants them.
HeaderList: TypeAlias = list[tuple[bytes, bytes]]
# The headers that select the response, beside the request line and the body.
VARY = (b"vary", b"Accept, Authorization")
NO_STORE = (b"cache-control", b"no-store")


def content_type(media_type: str) -> tuple[bytes, bytes]:
    """The Content-Type header of a response in UTF-8."""
    return b"content-type", f"{media_type}; charset=utf-8".encode()
