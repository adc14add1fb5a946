"""What HTTP should know of an answer that may be kept: for how long, since when, and by which tag."""

from typing import TypeAlias

from starlette.types import Scope, Send

from cache.answers import Source
from cache.entries import Entry

Head: TypeAlias = list[tuple[bytes, bytes]]
# What decides over an answer beside the request line and the body.
VARY = b"Accept, Authorization"


def head_of(entry: Entry, media_type: str, source: Source) -> Head:
    """The headers of an answer, but for its age and tag."""
    return [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"content-length", b"%d" % len(entry.body)),
        (b"vary", VARY),
        (b"cache-control", b"max-age=%d, %s" % (entry.lifetime, _audience(entry))),
        (b"x-cache", f"{source.value}; tier={entry.tier.name}".encode()),
    ]


def _audience(entry: Entry) -> bytes:
    return b"private" if entry.is_private else b"public"


async def send_entry(entry: Entry, head: Head, scope: Scope, send: Send) -> None:
    """Send an answer; or tell that the client has it already."""
    headers = [*head, (b"age", b"%d" % entry.age)]
    if scope["method"] != "POST":
        headers.append((b"etag", entry.etag))
        if _is_known(entry.etag, scope):
            # The first two tell of the body.
            await send({"type": "http.response.start", "status": 304, "headers": headers[2:]})
            await send({"type": "http.response.body", "body": b""})
            return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": entry.body})


def _is_known(etag: bytes, scope: Scope) -> bool:
    """Whether the client says that it has the answer with this tag."""
    known = [value for name, value in scope["headers"] if name == b"if-none-match"]
    tags = [tag.strip().removeprefix(b"W/") for value in known for tag in value.split(b",")]
    return etag in tags or b"*" in tags
